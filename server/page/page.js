/*
 * Sends many requests and counts who answered them. Every answer is a page like
 * this one: the script reads what its data-* attributes say, counts it, and puts
 * the parts of the last one in the place of its own. It draws no hop itself.
 */

const MAX_IN_FLIGHT = 6;
const SHOW_EVERY_MS = 1000;
const SQUARES_PER_ROW = 20;
const FIELDS = ["fail", "delay", "x-dev-user"];

const form = document.querySelector("form");
const shares = document.getElementById("shares");
const summary = document.getElementById("summary");
const stop = document.getElementById("stop");
const notice = document.getElementById("notice");

let running = null; // the run whose answers are awaited

/* What to send. */

function queryOfForm() {
  const query = new URLSearchParams();
  for (const name of FIELDS) {
    const value = form.elements[name].value.trim();
    if (value) query.set(name, value);
  }
  return query.toString();
}

function showQueryInAddress() {
  const query = queryOfForm();
  history.replaceState(null, "", query ? `?${query}` : location.pathname);
}

/* One request and what became of it: an outcome is { share, tone, failure, ms, calls, page }. */

function failed(failure, rest) {
  return { share: "failed", tone: "failed", calls: 0, ...rest, failure };
}

function readFailedPage(page, head, code) {
  const at = head.dataset.failedAt || "nobody";
  return failed(`${at}: ${head.dataset.status} (HTTP ${code})`, {
    calls: Number(head.dataset.calls),
    page,
  });
}

function readGoodPage(page, head) {
  const nodes = [...page.querySelectorAll("[data-version]")];
  const others = nodes.filter((node) => node.dataset.version !== "prod");
  const versions = [...new Set(others.map((node) => node.dataset.version))];
  return {
    share: versions.sort().join(" + ") || "prod",
    tone: others.length ? others[0].dataset.tone : "prod",
    calls: Number(head.dataset.calls),
    page,
  };
}

function readStranger(text, code) {
  const said = text.replace(/<[^>]*>/g, " ").replace(/\s+/g, " ").trim();
  const start = said.length > 80 ? `${said.slice(0, 80)}…` : said;
  return failed(`not the chain: HTTP ${code}${start && `, “${start}”`}`);
}

async function readAnswer(response) {
  const text = await response.text();
  const isPage = (response.headers.get("content-type") || "").startsWith("text/html");
  const page = isPage && new DOMParser().parseFromString(text, "text/html");
  const head = page && page.querySelector("[data-part=headline][data-calls]");
  if (!head) return readStranger(text, response.status);
  return response.status >= 400
    ? readFailedPage(page, head, response.status)
    : readGoodPage(page, head);
}

/* Throws only when it was stopped. */
async function ask(url, signal) {
  const begin = performance.now();
  let outcome;
  try {
    outcome = await readAnswer(
      await fetch(url, { headers: { accept: "text/html" }, cache: "no-store", signal }),
    );
  } catch (error) {
    if (signal.aborted) throw error;
    outcome = failed("no answer");
  }
  return { ...outcome, ms: performance.now() - begin };
}

/* A run: `count` requests, some of them at once. */

function newRun(count) {
  return {
    url: `?${queryOfForm()}`,
    outcomes: new Array(count).fill(null), // in the order they were sent
    next: 0,
    last: null,
    shownAt: performance.now(),
    stopping: new AbortController(),
  };
}

async function sendInTurn(run) {
  while (run.next < run.outcomes.length) {
    const number = run.next++;
    const outcome = await ask(run.url, run.stopping.signal);
    take(run, number, outcome);
  }
}

/* Only the last page is kept: a hundred documents are not needed for their numbers. */
function take(run, number, outcome) {
  const { page, ...rest } = outcome;
  if (run !== running) return;
  run.outcomes[number] = rest;
  run.last = outcome;
  drawShares(run);
  if (performance.now() - run.shownAt > SHOW_EVERY_MS) showLast(run);
}

async function start(count) {
  finish();
  const run = newRun(count);
  running = run;
  stop.hidden = false;
  summary.textContent = `Sending ${plural(count, "request")} …`;
  drawShares(run);
  const senders = Array.from({ length: Math.min(count, MAX_IN_FLIGHT) }, () => sendInTurn(run));
  await Promise.allSettled(senders);
  if (run === running) finish();
}

/* Also in the middle: then what is still under way does not count. */
function finish() {
  const run = running;
  if (!run) return;
  running = null;
  run.stopping.abort();
  summary.textContent = summaryOf(run);
  showLast(run);
  if (document.activeElement === stop) form.querySelector("button[data-count]").focus();
  stop.hidden = true;
}

/* The last answer takes the place of the page. */

function showLast(run) {
  run.shownAt = performance.now();
  const last = run.last;
  if (!last) return;
  notice.hidden = Boolean(last.page);
  if (last.page) showPage(last.page);
  else notice.textContent = `The last request: ${last.failure}. Shown is an earlier one.`;
}

function showPage(page) {
  document.title = page.title;
  for (const part of document.querySelectorAll("[data-part]")) {
    const other = page.querySelector(`[data-part=${part.dataset.part}]`);
    if (other) part.replaceWith(document.importNode(other, true));
  }
}

/* Numbers, in words */

function plural(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function duration(ms) {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

function answered(run) {
  return run.outcomes.filter(Boolean);
}

function rankOf(share) {
  const rank = ["prod", "canary", "another", "failed"].indexOf(share);
  return rank < 0 ? 2 : rank;
}

/* [name, outcomes] each: prod and canary first, then others by name, failures last. */
function groupsOf(outcomes) {
  const groups = new Map();
  for (const outcome of outcomes) {
    groups.set(outcome.share, [...(groups.get(outcome.share) || []), outcome]);
  }
  const order = ([name]) => `${rankOf(name)} ${name}`;
  return [...groups].sort((a, b) => (order(a) < order(b) ? -1 : 1));
}

/* [failure, how often] each, the most frequent first. */
function failuresOf(outcomes) {
  const counts = new Map();
  for (const { failure } of outcomes) {
    if (failure) counts.set(failure, (counts.get(failure) || 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1]);
}

function summaryOf(run) {
  const outcomes = answered(run);
  const wanted = run.outcomes.length;
  const sent =
    outcomes.length < wanted
      ? `Stopped after ${outcomes.length} of ${plural(wanted, "request")}`
      : plural(wanted, "request");
  const parts = groupsOf(outcomes).map(([name, group]) => `${group.length} ${name}`);
  return parts.length ? `${sent}: ${parts.join(", ")}.` : `${sent}.`;
}

function timesOf(outcomes) {
  const sorted = outcomes.map((outcome) => outcome.ms).sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  const calls = outcomes.reduce((sum, outcome) => sum + outcome.calls, 0);
  const cost = calls ? ` ${plural(calls, "call")} in all.` : "";
  return `Median ${duration(median)}, slowest ${duration(sorted[sorted.length - 1])}.${cost}`;
}

/* The chart */

function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

function draw(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/* In units of a square and the gap after it. */
function drawSquare(outcome, number) {
  const column = number % SQUARES_PER_ROW;
  const row = Math.floor(number / SQUARES_PER_ROW);
  const place = { transform: `translate(${column * 10} ${row * 10})` };
  const square = draw("rect", { width: 8, height: 8, rx: 1.5 });
  if (!outcome) return draw("g", { ...place, class: "awaited" }, square);
  const words = `${number + 1}: ${outcome.failure || outcome.share}, ${duration(outcome.ms)}`;
  const cross = outcome.failure ? [draw("path", { d: "M2.5 2.5l3 3m0-3l-3 3" })] : [];
  const title = draw("title", {}, words);
  return draw("g", { ...place, class: outcome.tone }, title, square, ...cross);
}

function drawSquares(run) {
  const rows = Math.ceil(run.outcomes.length / SQUARES_PER_ROW);
  const box = {
    class: "squares",
    viewBox: `0 0 ${SQUARES_PER_ROW * 10 - 2} ${rows * 10 - 2}`,
    role: "img",
    "aria-label": "A square for each request, in the order they were sent",
  };
  return draw("svg", box, ...run.outcomes.map(drawSquare));
}

function drawShare([name, group], total) {
  const percent = (100 * group.length) / total;
  const bar = draw(
    "svg",
    { viewBox: "0 0 100 1", preserveAspectRatio: "none", "aria-hidden": "true" },
    draw("rect", { width: percent, height: 1 }),
  );
  const heading = make("th", "", name);
  heading.scope = "row";
  return make(
    "tr",
    group[0].tone,
    heading,
    make("td", "line", bar),
    make("td", "number", String(group.length)),
    make("td", "percent", `${Math.round(percent)} %`),
  );
}

function drawFailures(outcomes) {
  const items = failuresOf(outcomes).map(([failure, count]) =>
    make("li", "", make("strong", "", `${count} ×`), ` ${failure}`),
  );
  return items.length ? [make("ul", "failures", ...items)] : [];
}

function drawShares(run) {
  const outcomes = answered(run);
  const rows = groupsOf(outcomes).map((group) => drawShare(group, outcomes.length));
  const table = make("table", "shares", make("tbody", "", ...rows));
  const rest = outcomes.length
    ? [table, ...drawFailures(outcomes), make("p", "examples", timesOf(outcomes))]
    : [];
  shares.replaceChildren(drawSquares(run), ...rest);
}

/* The page comes to life. */

function makeExampleButton(example) {
  const input = example.closest(".control").querySelector("input");
  const button = make("button", "", example.textContent);
  button.type = "button";
  button.addEventListener("click", () => {
    input.value = example.textContent;
    showQueryInAddress();
  });
  example.replaceWith(button);
}

function clear(event) {
  event.preventDefault();
  for (const name of FIELDS) form.elements[name].value = "";
  showQueryInAddress();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  start(Number(event.submitter ? event.submitter.dataset.count : 1));
});
form.addEventListener("input", showQueryInAddress);
form.querySelector("a").addEventListener("click", clear);
stop.addEventListener("click", finish);
document.querySelectorAll("[data-example]").forEach(makeExampleButton);
drawShares({ outcomes: new Array(100).fill(null) });
document.querySelectorAll("[data-scripted]").forEach((element) => {
  element.hidden = false;
});
