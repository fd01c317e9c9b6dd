// Text for eyes. Everything from outside reaches the page as text nodes: nothing here makes HTML.

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

// A small count for a narrow column: 15, 999, 1k, 4.8k.
export const few = (value) => (value < 1000 ? String(value) : `${(value / 1000).toFixed(1).replace(".0", "")}k`);

export const integer = (value) => whole.format(value);

export function rate(value) {
  if (value === 0) return "0";
  return value < 10 ? value.toFixed(1) : whole.format(value);
}

// 0.4 s, 12 s, 3 min, 2 h, 5 d; an age that is not known is a dash.
export function age(ms) {
  if (ms === null || ms < 0) return "–";
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.floor(ms / 1000)} s`;
  if (ms < 7_200_000) return `${Math.floor(ms / 60_000)} min`;
  return ms < 172_800_000 ? `${Math.floor(ms / 3_600_000)} h` : `${Math.floor(ms / 86_400_000)} d`;
}

export function milliseconds(ms) {
  if (ms === null || ms === undefined) return "unknown";
  if (Math.abs(ms) >= 10_000) return age(ms);
  return `${Math.abs(ms) < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

export function bps(value) {
  if (value === null) return "–";
  return Math.abs(value) < 10 ? value.toFixed(2) : value.toFixed(1);
}

// An exact decimal text, cut to five characters for a narrow column; the whole text belongs in a title.
export function short(text) {
  const value = Number(text);
  if (value < 1) return value > 0 && value < 0.0005 ? "<.001" : value.toFixed(3);
  return compact.format(value);
}

export const megabytes = (bytes) => `${Math.round(bytes / 1_048_576)} MB`;

export const clock = (ms) => `${new Date(ms).toISOString().slice(11, 19)} UTC`;

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("data-") || key.startsWith("aria-") || key === "role" || key === "scope") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children);
  return made;
}

// Writes only what differs: most cells stay the same from second to second.
export function setText(node, text) {
  if (node.shown === text) return;
  node.shown = text;
  node.textContent = text;
}

export function setData(node, name, value) {
  if (node.dataset[name] !== value) node.dataset[name] = value;
}

export function setTitle(node, text) {
  if (node.title !== text) node.title = text;
}

export function names(exchanges, code) {
  const known = exchanges[code];
  return { ko: known?.korean_name || known?.name || code, en: known?.korean_name ? known.name : "" };
}
