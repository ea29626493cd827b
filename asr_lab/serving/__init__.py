"""The live page: a web page and a WebSocket in front of one batched recogniser (extra `serve`)."""
