// The microphone's samples as 16-bit PCM at the model's rate, made on the audio thread.

const HALF_WIDTH = 24; // zero crossings of the sinc on each side, at the lower of the two rates
const ROLL_OFF = 0.94; // edge of the pass band, as a share of the lower rate's Nyquist frequency
const KAISER_BETA = 8.0; // 80 dB of attenuation
const MESSAGE_S = 0.05;

// A polyphase windowed-sinc filter over a stream: the numbers of asr_lab/audio/resampling.py, sample for sample.
class Resampler {
  constructor(fromHz, toHz) {
    const divisor = gcd(fromHz, toHz);
    this.up = toHz / divisor;
    this.down = fromHz / divisor;
    const slower = Math.max(this.up, this.down);
    this.half = Math.ceil((HALF_WIDTH * slower) / this.down) * this.down;
    this.taps = this.up === this.down ? null : kernel(this.up, slower, this.half);
    this.past = new Float32Array(0); // inputs that outputs to come still read
    this.start = 0; // number of its first input
    this.given = 0; // inputs so far
    this.made = 0; // outputs so far
  }

  push(input) {
    if (!this.taps) return input.slice();
    this.keep(input);
    this.given += input.length;
    return this.outputs(Math.floor(((this.given - 1) * this.up - this.half) / this.down) + 1);
  }

  // What is left when the input is over: the filter runs out over zeros.
  finish() {
    if (!this.taps || !this.given) return new Float32Array(0);
    this.keep(new Float32Array(Math.ceil(this.half / this.up) + 1));
    return this.outputs(Math.ceil((this.given * this.up) / this.down));
  }

  keep(input) {
    const first = Math.max(this.start, Math.ceil((this.made * this.down - this.half) / this.up));
    const old = this.past.subarray(first - this.start);
    const joined = new Float32Array(old.length + input.length);
    joined.set(old);
    joined.set(input, old.length);
    this.past = joined;
    this.start = first;
  }

  outputs(until) {
    const out = new Float32Array(Math.max(0, until - this.made));
    for (let n = 0; n < out.length; n++, this.made++) {
      const centre = this.made * this.down;
      const first = Math.max(this.start, Math.ceil((centre - this.half) / this.up));
      const last = Math.min(this.start + this.past.length - 1, Math.floor((centre + this.half) / this.up));
      let sum = 0;
      for (let k = first; k <= last; k++) sum += this.past[k - this.start] * this.taps[this.half + centre - k * this.up];
      out[n] = sum;
    }
    return out;
  }
}

function kernel(up, slower, half) {
  const taps = new Float64Array(2 * half + 1);
  let total = 0;
  for (let i = -half; i <= half; i++) {
    const time = i / slower;
    const window = bessel(KAISER_BETA * Math.sqrt(Math.max(0, 1 - (i / half) ** 2)));
    taps[i + half] = window * (time === 0 ? 1 : Math.sin(Math.PI * ROLL_OFF * time) / (Math.PI * ROLL_OFF * time));
    total += taps[i + half];
  }
  return Float32Array.from(taps, (tap) => (tap * up) / total);
}

// The modified Bessel function of the first kind and order zero, by its power series.
function bessel(x) {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > 1e-17 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function gcd(a, b) {
  return b ? gcd(b, a % b) : a;
}

// Posts { pcm, rms, peak } every 50 ms; told "stop", posts what is left and then { stopped: true }.
class Capture extends AudioWorkletProcessor {
  constructor(options) {
    super();
    const rate = options.processorOptions.sampleRate;
    this.resampler = new Resampler(Math.round(sampleRate), rate);
    this.message = new Int16Array(Math.round(MESSAGE_S * rate));
    this.filled = 0;
    this.energy = 0;
    this.peak = 0;
    this.stopped = false;
    this.port.onmessage = () => this.stop();
  }

  process(inputs) {
    const channels = inputs[0];
    if (!this.stopped && channels.length) this.add(this.resampler.push(mean(channels)));
    return !this.stopped;
  }

  add(samples) {
    for (const sample of samples) {
      this.energy += sample * sample;
      this.peak = Math.max(this.peak, Math.abs(sample));
      this.message[this.filled++] = Math.max(-32768, Math.min(32767, Math.round(sample * 32768)));
      if (this.filled === this.message.length) this.post();
    }
  }

  post() {
    if (!this.filled) return;
    const pcm = this.message.slice(0, this.filled).buffer;
    this.port.postMessage({ pcm, rms: Math.sqrt(this.energy / this.filled), peak: this.peak }, [pcm]);
    this.filled = this.energy = this.peak = 0;
  }

  stop() {
    if (this.stopped) return;
    this.stopped = true;
    this.add(this.resampler.finish());
    this.post();
    this.port.postMessage({ stopped: true });
  }
}

function mean(channels) {
  if (channels.length === 1) return channels[0];
  return channels[0].map((_, i) => channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length);
}

registerProcessor("capture", Capture);
