"""Count words with an actor that crashes on one of them: it comes back and has lost nothing else."""

# ruff: noqa: T201 - it talks to a person

import trio

from supervision import AskTimeout, ChildSpec, Context, Mailbox, Supervisor, ask

words = Mailbox("words", capacity=100)
counts: dict[str, int] = {}  # it outlives the actor, as the mailbox does


async def counter(context: Context) -> None:
    context.started()
    async for message in words:  # a message is acknowledged when the loop comes back for the next
        if message == "poison":
            raise ValueError("this word kills")
        if isinstance(message, str):
            counts[message] = counts.get(message, 0) + 1
        else:
            message.reply(dict(counts))


async def main() -> None:
    root = Supervisor("root", [ChildSpec("counter", counter, mailbox=words)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(root.run)
        for word in ["one", "poison", "two", "two"]:
            await words.put(word)
        try:
            print(await ask(words, "what have you counted?", deadline=5))
        except AskTimeout as late:
            print(late)
        print([(letter.message, letter.cause) for letter in root.dead_letters.list()])
        print(root.snapshot().children[0].restarts, "restarts")
        root.stop()


if __name__ == "__main__":
    trio.run(main)
