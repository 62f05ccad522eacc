"""Subscriptions as MCP knows them: a session that is told of updates, or a request that listens for them."""

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import mcp_types as types
import structlog
import trio
from fastmcp import FastMCP
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import SUBSCRIPTION_ID_META_KEY
from mcp_types import EmptyResult, SubscriptionsListenRequestParams, SubscriptionsListenResult

from actors.front.agents.subscriptions import Subscriber, SubscriptionError, Subscriptions

log = structlog.get_logger("agents")

Context = ServerRequestContext[None, Any]
Tell = Callable[[str], Awaitable[None]]

#: Where a session's subscriber is kept on its connection.
_STATE = "wadm_subscriber"


@attrs.define(eq=False)
class Notices:
    """Serves ``resources/subscribe`` (2025-11-25) and ``subscriptions/listen`` (2026-07-28)."""

    subscriptions: Subscriptions
    nursery: trio.Nursery | None = None

    def serve(self, mcp: FastMCP[None]) -> None:
        """Answer these requests on a server."""
        server = mcp._mcp_server  # noqa: SLF001 - FastMCP has no door of its own for them
        server.add_request_handler("resources/subscribe", types.SubscribeRequestParams, self.subscribe)
        server.add_request_handler("resources/unsubscribe", types.UnsubscribeRequestParams, self.unsubscribe)
        server.add_request_handler("subscriptions/listen", SubscriptionsListenRequestParams, self.listen)

    async def subscribe(self, context: Context, params: types.SubscribeRequestParams) -> EmptyResult:
        """Tell a session of updates of a resource, as long as the session lasts."""
        subscriber = self._subscriber(context)
        if str(params.uri) not in subscriber.marks and not await self._add(subscriber, [str(params.uri)]):
            raise _unknown(str(params.uri))
        return EmptyResult()

    async def unsubscribe(self, context: Context, params: types.UnsubscribeRequestParams) -> EmptyResult:
        """Tell a session nothing more of a resource."""
        self._subscriber(context).marks.pop(str(params.uri), None)
        return EmptyResult()

    async def listen(
        self, context: Context, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        """Tell of updates on the request's own stream until it is closed."""
        meta = {SUBSCRIPTION_ID_META_KEY: context.request_id}

        async def tell(uri: str) -> None:
            changed = types.ResourceUpdatedNotificationParams(uri=uri, _meta=meta)
            await context.session.send_notification(
                types.ResourceUpdatedNotification(params=changed), related_request_id=context.request_id
            )

        subscriber = self._enter(tell)
        try:
            wanted = params.notifications.resource_subscriptions or []
            honored = types.SubscriptionFilter(
                resource_subscriptions=await self._add(subscriber, wanted) or None
            )
            agreed = types.SubscriptionsAcknowledgedNotificationParams(notifications=honored, _meta=meta)
            await context.session.send_notification(
                types.SubscriptionsAcknowledgedNotification(params=agreed),
                related_request_id=context.request_id,
            )
            await subscriber.run()
        finally:
            self.subscriptions.leave(subscriber)
        return SubscriptionsListenResult(_meta=meta)

    # --- subscribers ---

    def _subscriber(self, context: Context) -> Subscriber:
        """Return the session's subscriber, who leaves with the session."""
        connection = context.session._connection  # noqa: SLF001 - where FastMCP keeps what is a session's, too
        if not connection.has_standalone_channel or self.nursery is None:
            raise MCPError(types.INVALID_REQUEST, "Subscriptions need a session: begin with initialize.")
        found: Subscriber | None = connection.state.get(_STATE)
        if found is not None:
            return found
        subscriber = self._enter(connection.send_resource_updated)
        scope = trio.CancelScope()
        connection.state[_STATE] = subscriber
        connection.exit_stack.callback(self.subscriptions.leave, subscriber)
        connection.exit_stack.callback(scope.cancel)
        self.nursery.start_soon(_within, scope, subscriber)
        return subscriber

    def _enter(self, tell: Tell) -> Subscriber:
        try:
            return self.subscriptions.enter(tell)
        except SubscriptionError as error:
            raise MCPError(types.INTERNAL_ERROR, str(error)) from error

    async def _add(self, subscriber: Subscriber, uris: list[str]) -> list[str]:
        try:
            return await self.subscriptions.add(subscriber, [str(uri) for uri in uris])
        except SubscriptionError as error:
            raise MCPError(types.INVALID_PARAMS, str(error)) from error


async def _within(scope: trio.CancelScope, subscriber: Subscriber) -> None:
    with scope:
        try:
            await subscriber.run()
        except Exception:
            log.exception("notices_ended")


def _unknown(uri: str) -> MCPError:
    sentence = f"There is no resource {uri[:200]!r}; resources/list and resources/templates/list name them."
    return MCPError(types.INVALID_PARAMS, sentence, data={"uri": uri[:200]})
