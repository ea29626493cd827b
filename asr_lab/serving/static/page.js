// What the page does: one stream at a time, from the microphone or a recording.

import { Microphone } from "/microphone.js";
import { decode, sendAll } from "/recording.js";
import { Stream } from "/stream.js";
import { Transcript, clock } from "/transcript.js";

const FLOOR_DB = -60;
const CLIPPED = 0.99;
const $ = (id) => document.getElementById(id);
const transcript = new Transcript($("transcript"));

let model = null; // what the server tells of the model
let current = null; // { stream, microphone }, while one runs
let delays = [];
let decodedS = 0;
let lock = null;

function setState(state, text) {
  document.body.dataset.state = state;
  document.body.toggleAttribute("data-live", ["connecting", "streaming", "finishing"].includes(state));
  $("state").textContent = text;
  $("talk-label").textContent = document.body.hasAttribute("data-live") ? "Stop" : "Talk";
  $("talk").disabled = !model || state === "finishing";
  $("file").disabled = !model || document.body.hasAttribute("data-live");
  if (!document.body.hasAttribute("data-live")) showLevel({ rms: 0, peak: 0 });
}

function showLevel({ rms, peak }) {
  const db = Math.max(FLOOR_DB, 20 * Math.log10(Math.max(rms, 1e-9)));
  $("bar").style.transform = `scaleX(${1 - db / FLOOR_DB})`;
  $("bar").classList.toggle("clipped", peak >= CLIPPED);
  $("level").ariaValueNow = db.toFixed(0);
  $("level").ariaValueText = db <= FLOOR_DB ? "silent" : `${db.toFixed(0)} decibels below full scale`;
}

function showUpdate(message) {
  decodedS = message.audio_s;
  transcript.show(message);
  $("decoded").textContent = clock(decodedS);
  $("rtf").textContent = message.rtf.toPrecision(2);
  if (message.delay_ms !== null) {
    delays = [...delays.slice(-499), message.delay_ms];
    $("delay").textContent = milliseconds(message.delay_ms);
    $("median").textContent = `median ${milliseconds([...delays].sort((a, b) => a - b)[delays.length >> 1])}`;
  }
  if (message.final.length) $("copy").disabled = $("clear").disabled = false;
}

function milliseconds(ms) {
  return ms < 9999.5 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

// Begins a stream; what becomes of it shows in the state.
function begin(source, readyText) {
  delays = [];
  decodedS = 0;
  transcript.next();
  $("delay").textContent = $("rtf").textContent = "–";
  $("median").textContent = "from spoken to final";
  $("decoded").textContent = clock(0);
  $("progress").textContent = "of the stream";
  return new Stream(model.sample_rate, source, {
    ready: () => setState("streaming", readyText),
    update: showUpdate,
    ended: () => over("ended", `Ended after ${clock(decodedS)}.`),
    failed: (text) => over("error", text),
  });
}

function over(state, text) {
  current?.stream?.close();
  current?.microphone?.stop();
  current = null;
  lock?.release();
  lock = null;
  transcript.next();
  setState(state, text);
}

async function talk() {
  const mine = (current = {});
  setState("connecting", "Waiting for the microphone…");
  try {
    const microphone = await Microphone.open(model.sample_rate, {
      audio: (audio) => {
        mine.stream?.send(audio.pcm);
        if (current === mine) showLevel(audio);
      },
      lost: () => current === mine && finish("The microphone was disconnected; waiting for the last words…"),
    });
    if (current !== mine) return void microphone.stop(); // stopped while the browser was asking
    mine.microphone = microphone;
    setState("connecting", "Connecting…");
    mine.stream = begin("microphone", "Microphone on. Speak now.");
    lock = (await navigator.wakeLock?.request("screen").catch(() => null)) ?? null;
  } catch (error) {
    if (current === mine) over("error", error.message);
  }
}

async function transcribe(file) {
  const mine = (current = {});
  setState("connecting", `Decoding ${file.name}…`);
  try {
    const samples = await decode(file, model.sample_rate);
    if (current !== mine) return;
    const lengthS = samples.length / model.sample_rate;
    if (lengthS > model.max_stream_s) {
      throw new Error(`${file.name} lasts ${clock(lengthS)}; a stream may last ${clock(model.max_stream_s)}.`);
    }
    if (!samples.length) throw new Error(`${file.name} holds no audio.`);
    mine.stream = begin("file", `Transcribing ${file.name}`);
    $("progress").textContent = `of ${clock(lengthS)}`;
    await sendAll(mine.stream, samples, model, (level) => current === mine && showLevel(level));
    if (current === mine && !mine.stream.ended) finish("Waiting for the last words…");
  } catch (error) {
    if (current === mine) over("error", error.message);
  }
}

async function finish(text) {
  const { stream, microphone } = current;
  if (!stream) return over("ended", "Stopped.");
  setState("finishing", text);
  await microphone?.stop(); // which hands over the last audio
  stream.end();
}

function start(file) {
  if (model && !current) transcribe(file);
}

$("talk").onclick = () => (current ? finish("Waiting for the last words…") : talk());
$("file").onchange = () => {
  if ($("file").files.length) start($("file").files[0]);
  $("file").value = ""; // the same file can be opened again
};
$("clear").onclick = () => {
  transcript.clear();
  $("copy").disabled = $("clear").disabled = true;
};
$("copy").onclick = async () => {
  await navigator.clipboard.writeText(transcript.text);
  $("copy").textContent = "Copied";
  setTimeout(() => ($("copy").textContent = "Copy"), 1500);
};
$("copy").hidden = !navigator.clipboard;
document.ondragover = (event) => {
  event.preventDefault();
  document.body.classList.toggle("dropping", event.dataTransfer.types.includes("Files") && !current);
};
document.ondragleave = (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
};
document.ondrop = (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  if (event.dataTransfer.files.length) start(event.dataTransfer.files[0]);
};

try {
  model = await (await fetch("/model.json")).json();
  const chunk = `${model.chunk_ms} ms chunks`;
  $("model").textContent = [`${model.name}, ${chunk}, ${Math.round(model.delay_ms)} ms algorithmic delay`, model.note]
    .filter(Boolean)
    .join(". ");
  setState("idle", "Ready.");
} catch {
  setState("error", "The server does not answer.");
}
