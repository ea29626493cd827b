// A recording: decoded by the browser, and sent as fast as the server takes it.

const MESSAGE_S = 0.25;
const AHEAD_S = 2; // and two chunks: what is sent before it was decoded
const POLL_MS = 10;

// Mono samples at a rate, whatever the file's own.
export async function decode(file, sampleRate) {
  let audio;
  try {
    audio = await new OfflineAudioContext(1, 1, sampleRate).decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Error(`${file.name} is not audio that this browser can decode.`);
  }
  const samples = audio.getChannelData(0).slice();
  for (let channel = 1; channel < audio.numberOfChannels; channel++) {
    const data = audio.getChannelData(channel);
    for (let i = 0; i < samples.length; i++) samples[i] += data[i];
  }
  return audio.numberOfChannels === 1 ? samples : samples.map((sample) => sample / audio.numberOfChannels);
}

// Sends all samples to a stream, no further ahead of what was decoded than keeps the server busy, so that what is shown
// is what was just sent and stopping stops at once. Returns when all is sent, or the stream has ended.
export async function sendAll(stream, samples, { sample_rate: sampleRate, chunk_ms: chunkMs }, onLevel) {
  const aheadS = AHEAD_S + (2 * chunkMs) / 1000;
  const size = Math.round(MESSAGE_S * sampleRate);
  for (let start = 0; start < samples.length && !stream.over && !stream.ended; start += size) {
    const part = samples.subarray(start, start + size);
    stream.send(toPcm(part).buffer);
    onLevel(levels(part));
    while (start / sampleRate - stream.decodedS > aheadS && !stream.over && !stream.ended) {
      await new Promise((done) => setTimeout(done, POLL_MS));
    }
  }
}

function toPcm(samples) {
  return Int16Array.from(samples, (sample) => Math.max(-32768, Math.min(32767, Math.round(sample * 32768))));
}

function levels(samples) {
  let energy = 0;
  let peak = 0;
  for (const sample of samples) {
    energy += sample * sample;
    peak = Math.max(peak, Math.abs(sample));
  }
  return { rms: Math.sqrt(energy / samples.length), peak };
}
