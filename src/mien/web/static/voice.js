/** The prompts read aloud, for whoever has turned away from the screen. Only voices that are on this computer are used. */

const KEPT = "mien-voice";

export const canSpeak = () => "speechSynthesis" in window && voices().length > 0;
export const speaks = () => localStorage.getItem(KEPT) === "on";
export const setSpeaking = (on) => localStorage.setItem(KEPT, on ? "on" : "off");

/** Voices come late in some browsers. */
export function whenVoices(act) {
  if (!("speechSynthesis" in window)) return;
  act();
  speechSynthesis.addEventListener("voiceschanged", act);
}

export function speak(sentence) {
  if (!speaks() || !canSpeak()) return;
  const words = new SpeechSynthesisUtterance(sentence);
  words.voice = voices()[0];
  speechSynthesis.cancel();
  speechSynthesis.speak(words);
}

const voices = () => speechSynthesis.getVoices().filter((voice) => voice.localService && voice.lang.startsWith("en"));
