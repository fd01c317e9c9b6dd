// The table of books. Only the rows that can be seen exist: a thousand books cost as much as thirty.

import { age, bps, element, few, integer, names, rate, setData, setText, setTitle } from "./format.js";

const find = (id) => document.getElementById(id);
const STATES = ["CROSSED", "UNKNOWN", "STALE", "GAPPED", "SYNCING", "LIVE", "HALTED"];
const SPARE = 6;
const text = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
const number = (value) => (value === null || Number.isNaN(value) ? -Infinity : value);

// key, label, classes, what it sorts by, explanation
const COLUMNS = [
  ["exchange", "Exchange", "exchange", (row) => row.order, "Exchange"],
  ["symbol", "Symbol", "symbol", (row) => row.symbol, "Canonical symbol"],
  ["state", "State", "state", (row) => STATES.indexOf(row.state), "What the book promises; only LIVE is a promise"],
  ["proof", "✓", "proof wide", (row) => (row.verified ? 0 : 1), "✓ continuity is proven by ids or checksums; – the exchange gives none"],
  ["bid", "Bid 매수", "num price bid", (row) => number(parseFloat(row.bid)), "Best bid"],
  ["ask", "Ask 매도", "num price ask", (row) => number(parseFloat(row.ask)), "Best ask"],
  ["spread", "bps", "num faint wide", (row) => number(row.spread_bps), "Spread, in hundredths of a percent of the middle"],
  ["rate", "Msg/s", "num faint wide", (row) => row.rate, "Book messages a second"],
  ["age", "Age", "num faint age", (row) => -row.last_ms, "Time since the last message"],
  ["gaps", "Gaps", "num wide", (row) => row.gaps, "Gaps since the validator started"],
  ["resyncs", "Resync", "num wide", (row) => row.resyncs, "Fresh snapshots joined since the validator started"],
  ["depth", "Depth", "num faint wide", (row) => Math.min(row.bids_known, row.asks_known), "Levels known: bids / asks"],
];
const ASCENDING = ["exchange", "symbol", "state"];

export class Books {
  constructor(onOpen) {
    this.onOpen = onOpen;
    this.rows = new Map();
    this.shown = [];
    this.exchanges = {};
    this.sort = { key: "", down: false };
    this.only = "";
    this.chosen = null;
    this.open = null;
    this.pool = [];
    this.scroll = find("books-scroll");
    this.body = find("books-rows");
    this.head();
    this.scroll.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.draw()).observe(this.scroll);
    find("filter").addEventListener("input", () => this.arrange());
    this.body.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) this.choose(row.dataset.key, true);
    });
  }

  head() {
    for (const [key, label, classes, , explanation] of COLUMNS) {
      const button = element("button", { type: "button", textContent: label, title: `${explanation}. Sort` });
      button.addEventListener("click", () => this.sortBy(key));
      find("books-heads").append(element("div", { role: "columnheader", className: classes }, button));
    }
  }

  // Takes the rows of a state message: all of them, or those that changed.
  take(state, serverNow) {
    this.serverNow = serverNow;
    this.exchanges = state.exchanges;
    const order = Object.keys(state.exchanges);
    if (state.full) this.rows.clear();
    for (const row of state.books) {
      row.key = `${row.exchange}/${row.symbol}`;
      row.order = order.indexOf(row.exchange);
      const name = names(state.exchanges, row.exchange);
      row.words = `${row.exchange} ${name.ko} ${name.en} ${row.symbol} ${row.state} ${row.phase} ${row.verified ? "verified" : "unverified"}`.toLowerCase();
      this.rows.set(row.key, row);
    }
    this.chips();
    this.arrange();
  }

  sortBy(key) {
    const { sort } = this;
    if (sort.key !== key) this.sort = { key, down: !ASCENDING.includes(key) };
    else if (sort.down === !ASCENDING.includes(key)) sort.down = !sort.down;
    else this.sort = { key: "", down: false };
    this.arrange();
  }

  // Filters and sorts. Unsorted means: what is wrong first, then by exchange and symbol.
  arrange() {
    const words = find("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = (row) => (!this.only || row.state === this.only) && words.every((word) =>
      word.length > 1 && word.startsWith("!") ? !row.words.includes(word.slice(1)) : row.words.includes(word));
    const column = COLUMNS.find(([key]) => key === this.sort.key) ?? COLUMNS[2];
    const value = column[3];
    const sign = this.sort.down ? -1 : 1;
    this.shown = [...this.rows.values()].filter(wanted).sort((a, b) =>
      sign * text(value(a), value(b)) || a.order - b.order || text(a.symbol, b.symbol));
    const empty = find("books-empty");
    empty.hidden = this.shown.length > 0;
    setText(empty, this.rows.size ? "No book matches the filter." : "No book has been seen yet.");
    find("books").setAttribute("aria-rowcount", String(this.shown.length + 1));
    setText(find("books-count"), `${integer(this.shown.length)} of ${integer(this.rows.size)} books`);
    [...find("books-heads").children].forEach((cell, index) => {
      if (COLUMNS[index][0] === this.sort.key) cell.setAttribute("aria-sort", this.sort.down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
    this.draw();
  }

  chips() {
    const counts = new Map(STATES.map((state) => [state, 0]));
    for (const row of this.rows.values()) counts.set(row.state, (counts.get(row.state) ?? 0) + 1);
    const list = find("chips");
    this.chipButtons ??= new Map();
    for (const [state, count] of counts) {
      let button = this.chipButtons.get(state);
      if (!button && !count) continue;
      if (!button) {
        button = element("button", { type: "button" }, state, element("b"));
        button.addEventListener("click", () => {
          this.only = this.only === state ? "" : state;
          this.chips();
          this.arrange();
        });
        this.chipButtons.set(state, button);
        list.append(element("li", {}, button));
      }
      setText(button.lastChild, integer(count));
      button.setAttribute("aria-pressed", String(this.only === state));
      button.parentElement.hidden = !count && this.only !== state;
    }
  }

  rowHeight() {
    return parseFloat(getComputedStyle(this.scroll).getPropertyValue("--book-row")) || 27;
  }

  draw() {
    const height = this.rowHeight();
    const first = Math.max(0, Math.floor(this.scroll.scrollTop / height) - SPARE);
    const count = Math.min(this.shown.length - first, Math.ceil(this.scroll.clientHeight / height) + 2 * SPARE);
    const end = first + Math.max(0, count);
    while (this.pool.length < end - first) this.pool.push(this.makeRow());
    while (this.pool.length > end - first) this.pool.pop().remove();
    find("books-above").style.height = `${first * height}px`;
    find("books-below").style.height = `${(this.shown.length - end) * height}px`;
    for (let index = first; index < end; index++) this.fill(this.pool[index - first], this.shown[index], index);
  }

  makeRow() {
    const row = element("div", { className: "row", role: "row" }, ...COLUMNS.map(([, , classes]) => element("div", { className: classes, role: "gridcell" })));
    row.badge = row.children[2].appendChild(element("span", { className: "badge" }));
    this.body.append(row);
    return row;
  }

  fill(node, row, index) {
    const cells = node.children;
    setData(node, "key", row.key);
    const id = `book-${index}`;
    if (node.id !== id) node.id = id;
    node.classList.toggle("off", row.state !== "LIVE");
    node.setAttribute("aria-rowindex", String(index + 2));
    node.setAttribute("aria-selected", String(row.key === this.chosen));
    if (row.key === this.chosen) this.scroll.setAttribute("aria-activedescendant", id);
    const name = names(this.exchanges, row.exchange);
    setText(cells[0], name.ko);
    setTitle(cells[0], `${name.ko} ${name.en} (${row.exchange})`);
    setText(cells[1], row.symbol);
    setTitle(cells[1], row.symbol);
    setData(node.badge, "state", row.state);
    setText(node.badge, row.state === "HALTED" && row.phase ? row.phase.toUpperCase() : row.state);
    setTitle(cells[2], row.reason || [row.state, row.phase].filter(Boolean).join(", "));
    setText(cells[3], row.verified ? "✓" : "–");
    setTitle(cells[3], row.verified ? "verified: continuity is proven" : "not verifiable: the exchange gives no ids");
    cells[3].classList.toggle("none", !row.verified);
    setText(cells[4], row.bid || "–");
    setText(cells[5], row.ask || "–");
    setText(cells[6], bps(row.spread_bps));
    setText(cells[7], rate(row.rate));
    setText(cells[8], age(Math.max(0, this.serverNow() - row.last_ms)));
    setText(cells[9], integer(row.gaps));
    cells[9].classList.toggle("zero", row.gaps === 0);
    setText(cells[10], integer(row.resyncs));
    cells[10].classList.toggle("zero", row.resyncs === 0);
    setText(cells[11], row.bids_known === row.asks_known ? few(row.bids_known) : `${few(row.bids_known)}/${few(row.asks_known)}`);
    setTitle(cells[11], `${row.bids_known} bids and ${row.asks_known} asks are known${row.lost ? `; ${row.lost} messages did not reach the monitor` : ""}`);
  }

  choose(key, open) {
    this.chosen = key;
    this.draw();
    if (open && this.rows.has(key)) this.onOpen(this.rows.get(key));
  }

  // Moves the choice by `step` rows and keeps it in sight.
  move(step) {
    if (!this.shown.length) return;
    const at = this.shown.findIndex((row) => row.key === this.chosen);
    const next = at < 0 ? 0 : Math.min(this.shown.length - 1, Math.max(0, at + step));
    const height = this.rowHeight();
    const top = next * height;
    const visible = this.scroll.clientHeight - 2 * height;
    if (top < this.scroll.scrollTop) this.scroll.scrollTop = top;
    else if (top > this.scroll.scrollTop + visible) this.scroll.scrollTop = top - visible;
    this.choose(this.shown[next].key, false);
  }
}
