// Header, alerts, links and services: small lists, drawn whole at every state.

import { age, clock, element, integer, megabytes, names, rate, setData, setText, setTitle } from "./format.js";

const find = (id) => document.getElementById(id);
const COLOURS = { ok: "#3fbf7f", warning: "#e8b04b", critical: "#ff5c57", waiting: "#64adff", lost: "#8b96a1" };
let iconLevel = "";

export function drawHeader(state) {
  const { verdict, links, services, alerts } = state;
  setData(find("verdict"), "level", verdict.level);
  setText(find("verdict").lastElementChild, verdict.text);
  const up = links.filter((link) => link.state === "CONNECTED").length;
  const wanted = links.filter((link) => link.state !== "CLOSED").length;
  const well = services.filter((service) => service.state === "ok").length;
  figure("figure-books", `${integer(verdict.live)}/${integer(verdict.books)}`, verdict.live < verdict.books);
  figure("figure-links", `${up}/${wanted}`, up < wanted);
  figure("figure-services", `${well}/${services.length}`, well < services.length);
  figure("figure-rate", rate(state.rate), false);
  find("elsewhere").hidden = state.elsewhere.length === 0;
  setTitle(find("elsewhere"), `read at other addresses than their own: ${state.elsewhere.join(", ")}`);
  setTitle(find("figure-books"), verdict.halted ? `${verdict.halted} more are halted` : "");
  setText(find("pulse-text"), clock(state.now_ms));
  const beat = find("pulse").firstElementChild;
  beat.classList.add("beat");
  requestAnimationFrame(() => requestAnimationFrame(() => beat.classList.remove("beat")));
  const troubles = alerts.filter((alert) => alert.severity !== "info").length;
  document.title = `${verdict.level === "ok" ? "●" : "▲"} ${verdict.live}/${verdict.books}${troubles ? ` · ${troubles} alerts` : ""} · hoga`;
  drawIcon(verdict.level);
}

export function drawIcon(level) {
  if (level === iconLevel) return;
  iconLevel = level;
  const shape = level === "lost" ? `<circle cx="16" cy="16" r="10" fill="none" stroke="${COLOURS.lost}" stroke-width="4"/>` : `<circle cx="16" cy="16" r="12" fill="${COLOURS[level]}"/>`;
  find("icon").href = `data:image/svg+xml,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">${shape}</svg>`)}`;
}

export function drawAlerts(state, now) {
  find("alerts").hidden = state.alerts.length === 0;
  const rows = state.alerts.map((alert) =>
    element("li", { "data-level": alert.severity },
      element("span", { textContent: alert.severity }), element("span", { textContent: alert.subject }),
      element("span", { textContent: alert.text, title: alert.text }), element("span", { textContent: age(now - alert.since_ms) })));
  if (state.alerts_left_out) {
    rows.push(element("li", {}, element("span"), element("span", { textContent: `and ${state.alerts_left_out} more` })));
  }
  replace(find("alert-list"), rows);
}

export function drawLinks(state) {
  find("links-empty").hidden = state.links.length > 0;
  find("links").hidden = state.links.length === 0;
  replace(find("links").tBodies[0], state.links.map((link) => {
    const name = names(state.exchanges, link.exchange);
    const badge = element("span", { className: "badge", "data-state": link.state, textContent: link.state });
    const cell = (text, classes = "num") => element("td", { className: classes, textContent: text });
    const state_ = element("td", { title: link.reason }, badge);
    const row = element("tr", { title: link.reason },
      element("td", { title: `${name.ko} ${name.en} (${link.exchange})` },
        element("span", { className: "ko", lang: "ko", textContent: name.ko }), element("span", { className: "en", textContent: name.en })),
      cell(link.slot, "wide"), state_, cell(integer(link.symbols), "num wide"), cell(rate(link.frames_per_s)),
      cell(age(link.frame_age_ms)), cell(integer(link.reconnects), "num wide"));
    if (link.dropped) row.title = `${link.reason} ${link.dropped} frames dropped`.trim();
    return row;
  }));
}

export function drawServices(state) {
  replace(find("services"), state.services.map((service) =>
    element("li", {
      "data-state": service.state,
      title: `${service.service} ${service.instance}: ${service.state}${service.reason ? ` (${service.reason})` : ""}, ` +
        `${megabytes(service.resident_bytes)}, ${service.cpu_percent} % of a core, up ${age(state.now_ms - service.started_ms)}`,
    }, element("i", { className: "dot" }), element("span", { textContent: service.service }),
    element("small", { textContent: service.state === "ok" ? `${megabytes(service.resident_bytes)} ${service.cpu_percent.toFixed(0)}%` : service.state }))));
}

function figure(id, text, bad) {
  setText(find(id), text);
  setData(find(id), "level", bad ? "warning" : "ok");
}

// Replaces the children only where something differs, so that a selection or a tooltip survives.
function replace(parent, children) {
  const before = parent.children;
  children.forEach((child, index) => {
    if (index >= before.length) parent.append(child);
    else if (!before[index].isEqualNode(child)) before[index].replaceWith(child);
  });
  while (parent.children.length > children.length) parent.lastElementChild.remove();
}
