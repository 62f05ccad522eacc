"""What the daemon measures of itself, for Prometheus: read when it is scraped, counted nowhere twice."""
