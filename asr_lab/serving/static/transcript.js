// The words on the page: paragraphs of settled words, and what may still change behind the last.

const UNSURE_BELOW = 0.5;

export class Transcript {
  constructor(element) {
    this.element = element;
    this.paragraph = null;
  }

  get text() {
    return [...this.element.querySelectorAll(".settled")].map((part) => part.textContent.trim()).join("\n");
  }

  clear() {
    this.element.replaceChildren();
    this.paragraph = null;
  }

  // A stream that starts anew starts a paragraph.
  next() {
    this.paragraph?.partial.replaceChildren();
    if (this.paragraph && !this.paragraph.settled.hasChildNodes()) this.paragraph.element.remove();
    this.paragraph = null;
  }

  show({ settled, partial, segment_ended: segmentEnded, audio_s: audioS }) {
    const atEnd = window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - 40;
    if (settled.length || partial) {
      this.paragraph ??= this.begin(settled[0]?.start_s ?? audioS);
      if (settled.length && !this.paragraph.settled.hasChildNodes()) this.paragraph.stamp(settled[0].start_s);
      for (const word of settled) this.paragraph.settled.append(wordElement(word), " ");
    }
    if (this.paragraph) this.paragraph.partial.textContent = partial;
    if (segmentEnded) this.next();
    if (atEnd) window.scrollTo({ top: document.documentElement.scrollHeight });
  }

  begin(startS) {
    const element = document.createElement("p");
    const time = document.createElement("time");
    const words = document.createElement("span");
    const settled = document.createElement("span");
    const partial = document.createElement("span");
    settled.className = "settled";
    partial.className = "partial";
    partial.ariaHidden = "true"; // a screen reader is told settled words only
    words.append(settled, partial);
    element.append(time, words);
    this.element.append(element);
    const stamp = (seconds) => (time.textContent = clock(seconds));
    stamp(startS);
    return { element, settled, partial, stamp };
  }
}

export function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function wordElement(word) {
  const element = document.createElement("span");
  element.textContent = word.text;
  element.title = `${word.start_s.toFixed(2)} to ${word.end_s.toFixed(2)} s, confidence ${Math.round(100 * word.confidence)} %`;
  if (word.confidence < UNSURE_BELOW) element.className = "unsure";
  return element;
}
