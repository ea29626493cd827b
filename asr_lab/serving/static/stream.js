// One stream to the server: the WebSocket's messages as calls, both ways.

const CLOSE_REASONS = {
  1001: "The server has stopped.",
  1006: "The connection to the server was lost.",
  1009: "The server refused a message as too large.",
  1012: "The server has stopped.",
};

export class Stream {
  // `on` holds ready(message), update(message), ended() and failed(text); after the last two nothing more comes.
  constructor(sampleRate, source, on) {
    const url = new URL("/stream", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    this.on = on;
    this.over = false; // nothing more comes
    this.ended = false; // nothing more is sent
    this.decodedS = 0;
    this.waiting = []; // sent before the socket was open
    this.complete = false; // the last update has come
    this.socket = new WebSocket(url);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      this.socket.send(JSON.stringify({ type: "hello", sample_rate: sampleRate, source }));
      for (const message of this.waiting.splice(0)) this.socket.send(message);
    };
    this.socket.onmessage = (event) => this.receive(JSON.parse(event.data));
    this.socket.onclose = (event) => this.closed(event);
  }

  send(pcm) {
    if (!this.ended) this.say(pcm);
  }

  end() {
    if (this.ended) return;
    this.ended = true;
    this.say(JSON.stringify({ type: "end" }));
  }

  close() {
    this.over = true;
    this.socket.close();
  }

  say(message) {
    if (this.over) return;
    if (this.socket.readyState === WebSocket.CONNECTING) this.waiting.push(message);
    else if (this.socket.readyState === WebSocket.OPEN) this.socket.send(message);
  }

  receive(message) {
    if (this.over) return;
    if (message.type === "ready") this.on.ready(message);
    else if (message.type === "error") this.finish(() => this.on.failed(sentence(message.message)));
    else if (message.type === "update") {
      this.complete = message.stream_ended;
      this.decodedS = message.audio_s;
      this.on.update(message);
    }
  }

  closed(event) {
    if (this.complete) this.finish(() => this.on.ended());
    else this.finish(() => this.on.failed(CLOSE_REASONS[event.code] ?? `The connection was closed (${event.code}).`));
  }

  finish(tell) {
    if (this.over) return;
    this.over = true;
    tell();
  }
}

function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}
