/** Numbers and times as people read them. */

/** 3 s, 40 s, 2 min, 1 h 5 min. */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.round(whole / 60)} min`;
  const minutes = Math.round(whole / 60);
  return `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
}

/** How long something took: 46 s, 1 min 24 s, 12 min. */
export function lasted(seconds) {
  const whole = Math.round(seconds);
  if (whole < 60 || whole >= 600) return duration(whole);
  return `${Math.floor(whole / 60)} min${whole % 60 ? ` ${whole % 60} s` : ""}`;
}

/** What is left, no more exactly than it is known. */
export function timeLeft(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 3) return "a moment left";
  if (seconds < 60) return `about ${Math.ceil(seconds / 5) * 5} s left`;
  return `about ${duration(seconds)} left`;
}

/** 4:05, counting down. */
export function clock(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** 1 photo, 3 photos. */
export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

/** 340 kB, 12 MB. */
export function bytes(number) {
  return number < 1e6 ? `${Math.ceil(number / 1e3)} kB` : `${(number / 1e6).toFixed(number < 1e7 ? 1 : 0)} MB`;
}

const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const DATE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

/** Today, Yesterday, or Friday 20 November 2026. */
export function day(date) {
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 864e5);
  return days === 0 ? "Today" : days === 1 ? "Yesterday" : DAY.format(date);
}

export const date = (when) => DATE.format(new Date(when));
export const time = (when) => TIME.format(new Date(when));

/** Several names as a list in a sentence: a, b and c. */
export function listed(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}`;
}

/** A file's name without its ending. */
export const plainName = (name) => name.replace(/\.[A-Za-z0-9]{2,5}$/, "");

/** A name with its first letter large. */
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
