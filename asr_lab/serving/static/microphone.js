// The microphone: opened, turned into PCM by the worklet, and closed again.

const REASONS = {
  NotAllowedError: "The microphone was not allowed. Allow it for this page in the browser's settings, and try again.",
  NotFoundError: "No microphone was found.",
  NotReadableError: "The microphone is in use by something else, or does not work.",
};

const STOP_MS = 1000; // an audio thread that does not answer is not waited for

export class Microphone {
  // `on` holds audio({ pcm, rms, peak }) and lost(), the latter when the device goes away by itself.
  static async open(sampleRate, on) {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error("Browsers give microphones to https and localhost pages only. A recording can be opened here.");
    }
    const media = await navigator.mediaDevices
      .getUserMedia({ audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: true } })
      .catch((error) => {
        throw new Error(REASONS[error.name] ?? `The microphone could not be opened: ${error.message}`);
      });
    const context = new AudioContext({ latencyHint: "interactive" });
    try {
      await context.audioWorklet.addModule("/worklet.js");
      await context.resume();
    } catch (error) {
      media.getTracks().forEach((track) => track.stop());
      context.close();
      throw new Error(`This browser cannot capture audio: ${error.message}`);
    }
    return new Microphone(media, context, sampleRate, on);
  }

  constructor(media, context, sampleRate, on) {
    this.media = media;
    this.context = context;
    this.node = new AudioWorkletNode(context, "capture", { processorOptions: { sampleRate } });
    this.stopped = new Promise((done) => {
      this.node.port.onmessage = ({ data }) => (data.stopped ? done() : on.audio(data));
    });
    for (const track of media.getAudioTracks()) track.onended = () => on.lost();
    // A node that leads nowhere may never be run; what this one plays is silence.
    context.createMediaStreamSource(media).connect(this.node).connect(context.destination);
  }

  // Resolves when the last audio was handed over; called again, gives the same promise.
  stop() {
    this.stopping ??= this.release();
    return this.stopping;
  }

  async release() {
    this.node.port.postMessage("stop");
    await Promise.race([this.stopped, new Promise((done) => setTimeout(done, STOP_MS))]);
    this.node.port.onmessage = null;
    this.media.getTracks().forEach((track) => track.stop());
    this.context.close();
  }
}
