// Puts the page together: the feed, the parts that show it, the keyboard, the address.

import { Books } from "./books.js";
import { Feed } from "./feed.js";
import { age, clock, setText } from "./format.js";
import { Ladder } from "./ladder.js";
import { drawAlerts, drawHeader, drawIcon, drawLinks, drawServices } from "./overview.js";

const find = (id) => document.getElementById(id);
const wide = matchMedia("(min-width: 961px)");
let last = null;
let receivedAt = 0;
let settled = false;

// The monitor's clock now, counted on by ours since the last state; it stands still once the feed is lost.
const serverNow = () => last.now_ms + (feed.live ? performance.now() - receivedAt : 0);

const books = new Books((row) => openBook(row));
const ladder = new Ladder(closeBook);
const feed = new Feed({
  state(message) {
    last = message;
    receivedAt = performance.now();
    drawHeader(message);
    drawAlerts(message, message.now_ms);
    drawLinks(message);
    drawServices(message);
    books.take(message, serverNow);
    if (!settled) settle();
    tellOfBus(message);
  },
  ladder(message) {
    ladder.take(message);
  },
  live() {
    document.body.dataset.feed = "live";
    find("banner").hidden = true;
  },
  lost() {
    document.body.dataset.feed = last ? "lost" : "connecting";
    tellOfLoss();
  },
});

function tellOfLoss() {
  if (feed.live) return;
  const since = last ? `Everything below is from ${clock(last.now_ms)}` : "Nothing has been received yet";
  banner("No connection to the monitor.", `${since}${last ? ` (${age(performance.now() - receivedAt)} ago) and may be wrong` : ""}. Trying again…`, true);
  if (!last) return;
  document.title = "✕ no connection · hoga";
  drawIcon("lost");
  setText(find("verdict").lastElementChild, "Not connected");
  setText(find("pulse-text"), `old: ${clock(last.now_ms)}`);
  ladder.lose(`the page lost its connection ${age(performance.now() - receivedAt)} ago; this is old`);
}

function tellOfBus(message) {
  if (message.bus) find("banner").hidden = true;
  else banner("The monitor has lost the message bus.", "Books and links below are the last known ones.", false);
}

function banner(title, text, retry) {
  setText(find("banner-title"), title);
  setText(find("banner-text"), text);
  find("banner-retry").hidden = !retry;
  find("banner").hidden = false;
}

function openBook(row) {
  ladder.open(row, last?.exchanges ?? {});
  feed.watch({ exchange: row.exchange, symbol: row.symbol });
  if (!wide.matches) find("ladder-close").focus({ preventScroll: true });
  history.replaceState(null, "", `#${encodeURIComponent(row.exchange)}/${encodeURIComponent(row.symbol)}`);
}

function closeBook() {
  ladder.close();
  feed.watch(null);
  history.replaceState(null, "", location.pathname);
  find("books-scroll").focus();
}

// With the first state: the book of the address, or, where there is room, the busiest live one.
function settle() {
  const [exchange, symbol] = fromAddress();
  const rows = [...books.rows.values()];
  if (exchange && symbol) {
    settled = true;
    books.chosen = `${exchange}/${symbol}`;
    openBook({ exchange, symbol });
  } else if (wide.matches && rows.some((row) => row.state === "LIVE" && row.rate > 0)) {
    settled = true;
    const busiest = rows.filter((row) => row.state === "LIVE").reduce((best, row) => (row.rate > best.rate ? row : best));
    books.choose(busiest.key, true);
  } else {
    settled = !wide.matches;
  }
}

function fromAddress() {
  try {
    return location.hash.slice(1).split("/").map(decodeURIComponent);
  } catch {
    return [];
  }
}

// The ladder beside the table follows the choice; the sheet of a phone would only be in the way.
function move(step) {
  books.move(step);
  if (ladder.book && wide.matches) books.choose(books.chosen, true);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target === find("filter");
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -1e9, End: 1e9 };
  if (!typing && (event.key === "j" || event.key === "k")) move(event.key === "j" ? 1 : -1);
  else if (event.key in steps && !(typing && ["Home", "End"].includes(event.key))) move(steps[event.key]);
  else if (event.key === "Enter" && !event.target.closest("button") && books.chosen) books.choose(books.chosen, true);
  else if (event.key === "/" && !typing) find("filter").focus();
  else if (event.key === "Escape" && typing && find("filter").value) {
    find("filter").value = "";
    books.arrange();
  } else if (event.key === "Escape" && typing) find("books-scroll").focus();
  else if (event.key === "Escape" && ladder.book) closeBook();
  else return;
  event.preventDefault();
});

find("banner-retry").addEventListener("click", () => feed.retry());
setInterval(tellOfLoss, 1000);
