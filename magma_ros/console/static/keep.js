// Copyright 2026 The magma_ros authors
// SPDX-License-Identifier: Apache-2.0
// The instruction, the episode being recorded, and the diagnostics.

import { inControl } from "./drive.js";
import { ago, answer, bindDialog, figure, kept, make, mark, part, say } from "./parts.js";

const REMEMBERED = 20; // instructions kept in this browser
const RECENT = 3; // of them offered as buttons
const MARKED = /\bthe one marked \d+/i;

export class Instruction {
  constructor(link, onmark) {
    Object.assign(this, { link, onmark, told: null });
    this.box = document.getElementById("instruction");
    this.history = read();
    this.place = -1; // in the history while it is leafed through
    part("instruct").addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    this.box.addEventListener("input", () => this.showMark());
    this.box.addEventListener("keydown", (event) => this.leaf(event));
    this.showHistory();
  }

  update({ instruction }) {
    say(part("instruction-now"), instruction ? `Now: ${instruction}` : "No instruction yet.");
    if (instruction !== this.told) {
      this.told = instruction;
      this.showMark();
    }
  }

  async send() {
    const text = this.box.value.trim();
    if (!text) return answer("instruct-said", { accepted: false, sentence: "Say what to do first." });
    const said = await inControl(this.link, () => this.link.instruct(text));
    answer("instruct-said", said);
    if (!said.accepted) return;
    this.history = [text, ...this.history.filter((entry) => entry !== text)].slice(0, REMEMBERED);
    this.place = -1;
    kept.set("instructions", JSON.stringify(this.history));
    this.showHistory();
    this.box.value = "";
    this.showMark();
  }

  // Up and down as in a shell.
  leaf(event) {
    const step = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (!step || this.history.length === 0) return;
    event.preventDefault();
    this.place = Math.min(Math.max(this.place + step, -1), this.history.length - 1);
    this.box.value = this.history[this.place] ?? "";
    this.showMark();
  }

  showHistory() {
    part("history").replaceChildren(...this.history.map((text) => make("option", { value: text })));
    part("recent").replaceChildren(...this.history.slice(0, RECENT).map((text) => this.makeRecent(text)));
  }

  makeRecent(text) {
    const button = make("button", { type: "button", title: text }, text);
    button.addEventListener("click", () => {
      this.box.value = text;
      this.box.focus();
      this.showMark();
    });
    return button;
  }

  // Name a mark: in place of the one that is named already, or else at the end.
  name(number) {
    const words = `the one marked ${number}`;
    const text = this.box.value;
    this.box.value = MARKED.test(text) ? text.replace(MARKED, words) : `${text.trimEnd()} ${words}`.trim();
    this.box.focus();
    this.showMark();
  }

  showMark() {
    const named = /\bmark(?:ed)? (\d+)/i.exec(this.box.value || this.told || "");
    this.onmark(named ? Number(named[1]) : null);
  }
}

function read() {
  try {
    const entries = JSON.parse(kept.get("instructions") ?? "[]");
    return entries.filter((entry) => typeof entry === "string").slice(0, REMEMBERED);
  } catch {
    return [];
  }
}

export class Episode {
  constructor(link) {
    this.link = link;
    this.recorder = null;
    const actions = {
      record: () => link.record(!this.recorder?.recording),
      good: () => link.label("good", ""),
      bad: () => link.label("bad", ""),
    };
    for (const [name, act] of Object.entries(actions)) {
      this.button(name).addEventListener("click", async () => answer("episode-said", await inControl(link, act)));
    }
    bindDialog("note", (note) => this.saveNote(note));
  }

  button(name) {
    return document.querySelector(`[data-do="${name}"]`);
  }

  async saveNote(note) {
    const said = await inControl(this.link, () => this.link.label("note", note));
    answer("episode-said", said);
  }

  update({ recorder }) {
    this.recorder = recorder;
    const heard = recorder.age !== null;
    mark(part("record"), "aria-pressed", recorder.recording);
    say(part("record"), recorder.recording ? "End episode" : "Record");
    const count = figure(recorder.messages).replace(/\B(?=(\d{3})+$)/g, "\u202f");
    const state = recorder.recording ? `● ${count} messages` : "Not recording";
    say(part("episode-state"), heard ? state : "No recorder heard");
    const names = recorder.path.split("/").filter((name) => name && !name.endsWith(".mcap"));
    say(part("episode-path"), names.at(-1) ?? "");
    part("episode-path").title = recorder.path;
    say(part("episode-problem"), recorder.problem);
    part("episode-problem").title = recorder.problem;
    for (const verdict of ["good", "bad"]) {
      mark(this.button(verdict), "aria-pressed", recorder.label === verdict);
    }
  }
}

const ORDER = ["ERROR", "STALE", "WARN", "OK"];

export class Diagnostics {
  constructor() {
    this.entries = new Map(); // name -> its elements, kept so that what is open stays open
    this.told = "";
  }

  update({ diagnostics }) {
    const sorted = diagnostics.toSorted((a, b) => ORDER.indexOf(a.level) - ORDER.indexOf(b.level));
    const names = sorted.map(({ name }) => name);
    for (const entry of sorted) this.fill(this.entries.get(entry.name) ?? this.add(entry.name), entry);
    if (names.join("\n") !== this.told) {
      this.told = names.join("\n");
      part("diagnostics").replaceChildren(...names.map((name) => this.entries.get(name).entry));
    }
    if (names.length === 0) part("diagnostics").textContent = "No diagnostics heard.";
  }

  add(name) {
    const level = make("span", { class: "level" });
    const message = make("span", { class: "diagnostic-message" });
    const values = make("dl");
    const title = make("span", { class: "diagnostic-name" }, name);
    const entry = make("details", {}, make("summary", {}, level, title, message), values);
    this.entries.set(name, { entry, level, message, values });
    return this.entries.get(name);
  }

  fill({ entry, level, message, values }, told) {
    mark(entry, "data-level", told.level);
    say(level, told.level);
    say(message, told.message);
    if (!entry.open) return;
    const rows = [...Object.entries(told.values), ["heard", `${ago(told.age)} ago`]];
    values.replaceChildren(...rows.flatMap(([key, value]) => [make("dt", {}, key), make("dd", {}, value)]));
  }
}
