// The words on the page: paragraphs of final words, and the interim ones after the last.

const UNSURE_BELOW = 0.5;

export class Transcript {
  constructor(element) {
    this.element = element;
    this.paragraph = null;
  }

  get text() {
    return [...this.element.querySelectorAll(".final")].map((part) => part.textContent.trim()).join("\n");
  }

  clear() {
    this.element.replaceChildren();
    this.paragraph = null;
  }

  // A stream that starts anew starts a paragraph.
  next() {
    this.paragraph?.interim.replaceChildren();
    if (this.paragraph && !this.paragraph.final.hasChildNodes()) this.paragraph.element.remove();
    this.paragraph = null;
  }

  show({ final, interim, segment_ended: segmentEnded, audio_s: audioS }) {
    const atEnd = window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - 40;
    if (final.length || interim) {
      this.paragraph ??= this.begin(final[0]?.start_s ?? audioS);
      if (final.length && !this.paragraph.final.hasChildNodes()) this.paragraph.stamp(final[0].start_s);
      for (const word of final) this.paragraph.final.append(wordElement(word), " ");
    }
    if (this.paragraph) this.paragraph.interim.textContent = interim;
    if (segmentEnded) this.next();
    if (atEnd) window.scrollTo({ top: document.documentElement.scrollHeight });
  }

  begin(startS) {
    const element = document.createElement("p");
    const time = document.createElement("time");
    const words = document.createElement("span");
    const final = document.createElement("span");
    const interim = document.createElement("span");
    final.className = "final";
    interim.className = "interim";
    interim.ariaHidden = "true"; // a screen reader is told final words only
    words.append(final, interim);
    element.append(time, words);
    this.element.append(element);
    const stamp = (seconds) => (time.textContent = clock(seconds));
    stamp(startS);
    return { element, final, interim, stamp };
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
