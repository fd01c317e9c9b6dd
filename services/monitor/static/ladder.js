// The chosen book, level by level. Numbers are shown exactly as sent; only bars and totals are rounded.

import { age, bps, element, integer, milliseconds, names, setData, setText, setTitle, short } from "./format.js";

const find = (id) => document.getElementById(id);
const LEVEL = 19;
const TALLEST = 24;
const MIDDLE = 58;
const CHARACTER = 7.6;
const MOST = 25;

export class Ladder {
  constructor(onClose) {
    this.panel = find("ladder");
    this.book = null;
    this.message = null;
    this.asks = [];
    this.bids = [];
    this.facts = new Map();
    find("ladder-middle").append(element("span"), element("span"), element("span"));
    find("ladder-close").addEventListener("click", onClose);
    new ResizeObserver(() => this.draw()).observe(find("ladder-body"));
  }

  open(book, exchanges) {
    this.book = book;
    this.message = null;
    this.panel.hidden = false;
    find("ladder-hint").hidden = true;
    const name = names(exchanges, book.exchange);
    this.title = [name.ko, name.en].filter(Boolean).join(" ");
    setText(find("ladder-symbol"), book.symbol);
    setTitle(find("ladder-symbol"), book.symbol);
    setText(find("ladder-sub"), this.title);
    this.ribbon("UNKNOWN", "waiting for the book");
  }

  close() {
    this.book = null;
    this.message = null;
    this.panel.hidden = true;
    find("ladder-hint").hidden = false;
  }

  take(message) {
    if (!this.book || message.exchange !== this.book.exchange || message.symbol !== this.book.symbol) return;
    this.message = message.missing_book ? null : message;
    if (message.missing_book) this.ribbon("UNKNOWN", "the monitor has never seen this book");
    this.stale = "";
    this.draw();
  }

  // The connection to the monitor is lost: what is shown is old.
  lose(why) {
    this.stale = why;
    if (this.book) this.ribbon("UNKNOWN", why);
  }

  draw() {
    const { message } = this;
    if (!this.book) return;
    const body = find("ladder-body");
    const room = (body.clientHeight - MIDDLE) / 2;
    const deep = message ? Math.max(message.bids.length, message.asks.length) : MOST;
    const levels = Math.max(3, Math.min(MOST, deep, Math.floor(room / LEVEL)));
    body.style.setProperty("--level", `${Math.min(TALLEST, room / levels)}px`);
    const bids = message?.bids.slice(0, levels) ?? [];
    const asks = message?.asks.slice(0, levels) ?? [];
    this.fit(body, [...bids, ...asks]);
    const deepest = Math.max(...[bids, asks].map((side) => Number(side.at(-1)?.[2] ?? 0)), Number.MIN_VALUE);
    this.side(this.asks, find("ladder-asks"), asks, deepest, true);
    this.side(this.bids, find("ladder-bids"), bids, deepest, false);
    const middle = find("ladder-middle").children;
    setText(middle[0], "spread");
    setText(middle[1], message?.spread || "–");
    setText(middle[2], message && message.spread_bps !== null ? `${bps(message.spread_bps)} bps` : "");
    if (message) this.about(message);
    if (this.stale) this.ribbon("UNKNOWN", this.stale);
    else if (message) {
      const reason = message.state === "LIVE" ? "" : message.reason || "no reason given";
      this.ribbon(message.state, reason, message.phase);
    }
  }

  // The price column is as wide as the prices; where sizes leave no room for totals, totals go (never digits).
  fit(body, levels) {
    const longest = (index) => Math.max(4, ...levels.map((level) => level[index].length));
    const price = Math.round(longest(0) * CHARACTER * 1.05 + 26);
    body.style.setProperty("--price", `${price}px`);
    setData(body, "narrow", (body.clientWidth - price) / 2 < longest(1) * CHARACTER + 64 ? "yes" : "no");
  }

  about(message) {
    const { verified } = message;
    setText(find("ladder-sub"), `${this.title} · ${message.native_symbol}`);
    this.fact("facts-upper", "Proof", verified ? `✓ ${message.proven_levels ? `best ${message.proven_levels} ` : ""}verified` : "none possible", verified ? "Continuity is proven by ids or checksums" : "The exchange gives no ids: nothing can prove that no update was lost");
    this.fact("facts-upper", "Sequence", message.sequence === "0" ? "none given" : message.sequence);
    this.fact("facts-upper", "Revision", integer(message.revision), `epoch ${message.epoch}`);
    this.fact("facts-upper", "Depth known", `${integer(message.bids_known)} / ${integer(message.asks_known)}`, "levels known: bids / asks");
    this.fact("facts-upper", "Age", age(message.age_ms));
    this.fact("facts-lower", "Gaps", integer(message.gaps));
    this.fact("facts-lower", "Resyncs", integer(message.resyncs));
    this.fact("facts-lower", "Ids missing", integer(message.missing), "", message.missing ? "warning" : "");
    this.fact("facts-lower", "Exchange → us", message.exchange_to_receive_ms === null ? "no time given" : milliseconds(message.exchange_to_receive_ms), "by two clocks");
    this.fact("facts-lower", "Us → bus", milliseconds(message.receive_to_publish_ms));
  }

  fact(list, label, value, title = "", level = "") {
    let node = this.facts.get(label);
    if (!node) {
      node = element("dd");
      this.facts.set(label, node);
      find(list).append(element("div", {}, element("dt", { textContent: label }), node));
    }
    setText(node, value);
    setTitle(node, title);
    setData(node, "level", level);
  }

  ribbon(state, reason, phase = "") {
    const live = state === "LIVE";
    setData(this.panel, "live", live ? "yes" : "no");
    setData(find("ladder-state"), "state", state);
    setText(find("ladder-state"), phase ? `${state} · ${phase}` : state);
    const ribbon = find("ladder-ribbon");
    ribbon.hidden = live;
    setData(ribbon, "state", state);
    setText(ribbon, live ? "" : `Not live: ${reason}`);
  }

  side(pool, parent, levels, deepest, upwards) {
    while (pool.length < levels.length) {
      const level = makeLevel();
      pool.push(level);
      if (upwards) parent.prepend(level);
      else parent.append(level);
    }
    while (pool.length > levels.length) pool.pop().remove();
    levels.forEach(([price, size, total], index) => {
      const node = pool[index];
      setText(node.price, price);
      setText(node.size, size);
      setText(node.total, short(total));
      setTitle(node.amount, `${size} at ${price}; ${total} up to here`);
      node.barTotal.style.transform = `scaleX(${Number(total) / deepest})`;
      node.barSize.style.transform = `scaleX(${Number(size) / deepest})`;
    });
  }
}

function makeLevel() {
  const level = element("div", { className: "level", role: "row" });
  level.barTotal = element("i", { className: "bar-total" });
  level.barSize = element("i", { className: "bar-size" });
  level.size = element("span", { className: "size" });
  level.total = element("span", { className: "total" });
  level.price = element("span", { className: "price", role: "cell" });
  level.amount = element("span", { className: "amount", role: "cell" }, level.barTotal, level.barSize, level.total, level.size);
  level.append(level.amount, level.price);
  return level;
}
