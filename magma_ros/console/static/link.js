// Copyright 2026 The magma_ros authors
// SPDX-License-Identifier: Apache-2.0
// The motion link: one WebSocket that tells the server what the operator holds, 25 times a second,
// and lets go in every case of doubt. docs/console.md describes its frames.

import { Held, keys } from "./held.js";

const PROTOCOL = 1;
const PERIOD = 40; // between two motion frames [ms]
const SILENCE = 1500; // without a frame from the server after which the connection is replaced [ms]
const RETRIES = [250, 500, 1000, 2000, 4000]; // until the next attempts to connect [ms]
const ANSWER_TIME = 4000; // for which an answer is waited for [ms]
const BACKLOG = 2000; // bytes that wait to be sent, beyond which motion frames are left out
const LEVELS = { slow: 0.2, medium: 0.5, fast: 1 };
const NOT_CONNECTED = "Not connected to the console; use the robot's own emergency stop.";

const seconds = () => performance.now() / 1000;

class Link {
  constructor() {
    this.keys = keys;
    this.callbacks = [];
    this.connected = false;
    this.name = "";
    this.lease = { holder: "", asking: "", left: null, names: [] };
    this.you = { holds: false, asks: false, round_trip: null, moves: false };
    this.top = { linear: null, angular: null }; // speeds of jogging [m/s, rad/s]
    this.frame = "base";
    this.speed = "slow";
    this.over = ""; // why the hold has ended before the keys were let go
    this.seq = 0;
    this.hold = 0;
    this.sent = false; // whether the newest hold has been told of and not been let go
    this.asked = new Map(); // id -> {answer, timer}
    this.asks = 0;
    this.failures = 0;
    this.held = new Held({
      onchange: () => this.wish(),
      onstop: () => this.request("stop"),
      onlevel: (level) => this.setSpeed(level),
    });
    addEventListener("pagehide", () => this.socket?.close());
    addEventListener("pageshow", ({ persisted }) => persisted && this.connect());
    setInterval(() => this.tick(), PERIOD);
    this.connect();
  }

  // What there is to show. round_trip and latency in seconds.
  get state() {
    const { connected, name, lease, you, frame, speed, over, top } = this;
    const waiting = you.holds && lease.asking ? [lease.asking] : [];
    return {
      connected, name, frame, speed, over, top, waiting,
      mine: you.holds, asking: you.asks, holder: lease.holder, left: lease.left, names: lease.names,
      latency: you.round_trip, moving: you.moves, held: this.held.axes, gamepad: this.held.gamepad,
    };
  }

  onchange(callback) {
    this.callbacks.push(callback);
  }

  changed() {
    for (const callback of this.callbacks) callback(this.state);
  }

  // What is asked; each gives a promise of {accepted, sentence}.

  request(verb) {
    this.held.clear();
    return this.put({ type: "verb", verb });
  }

  instruct(text) {
    return this.put({ type: "instruct", text });
  }

  record(on) {
    return this.put({ type: "record", on });
  }

  label(verdict, note = "") {
    return this.put({ type: "label", verdict: verdict === "note" ? "" : verdict, note });
  }

  ask() {
    return this.put({ type: "lease", wish: "ask" });
  }

  giveUp() {
    remember("lease", "");
    this.held.clear();
    return this.put({ type: "lease", wish: "drop" });
  }

  grant() {
    remember("lease", "");
    return this.put({ type: "lease", wish: "grant" });
  }

  refuse() {
    return this.put({ type: "lease", wish: "keep" });
  }

  // What is held: an axis such as "+x", or "open" and "close" for the gripper.

  press(axis) {
    this.held.press(axis);
  }

  letGo(axis) {
    this.held.letGo(axis);
  }

  setFrame(frame) {
    this.held.clear(); // or the arm would change its direction in mid-motion
    this.frame = frame;
    this.changed();
  }

  setSpeed(level) {
    this.speed = level;
    this.changed();
  }

  setName(name) {
    remember("name", name, localStorage);
    this.socket?.close();
  }

  // Motion

  // Keys were pressed or let go: say so now, not with the next tick.
  wish() {
    if (this.held.any && !this.sent) {
      this.hold += 1;
      this.over = this.connected ? "" : NOT_CONNECTED; // nothing moves when the connection returns
    }
    this.stream();
    this.changed();
  }

  stream() {
    if (this.held.any) {
      this.sent = true;
      if (this.over || !this.connected) return;
      this.seq += 1;
      if (this.socket.bufferedAmount > BACKLOG) return;
      const { twist, gripper } = this.held.wish();
      const scaled = twist.map((part) => part * LEVELS[this.speed]);
      const { seq, hold, frame } = this;
      this.send({ type: "jog", seq, at: seconds(), hold, frame, twist: scaled, gripper });
    } else if (this.sent) {
      this.sent = false;
      this.over = "";
      this.seq += 1;
      this.send({ type: "release", seq: this.seq, at: seconds() });
    }
  }

  tick() {
    this.held.poll();
    this.stream();
    if (this.connected && performance.now() - this.heard > SILENCE) this.lose();
  }

  // The socket

  connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/link`);
    this.socket = socket;
    socket.onopen = () => this.send({ type: "hello", protocol: PROTOCOL, name: recall("name", localStorage) });
    socket.onmessage = ({ data }) => this.socket === socket && this.hear(JSON.parse(data));
    socket.onclose = () => this.socket === socket && this.lose();
  }

  // The connection is gone, or as good as gone. What is held has to be pressed anew.
  lose() {
    const { socket } = this;
    this.socket = null;
    socket?.close();
    if (this.connected && this.held.any) this.over = "The connection was lost; let go and press again.";
    this.connected = false;
    this.you = { holds: false, asks: false, round_trip: null, moves: false };
    for (const id of this.asked.keys()) this.answer({ id, accepted: false, sentence: NOT_CONNECTED });
    this.changed();
    const wait = RETRIES[Math.min(this.failures, RETRIES.length - 1)];
    this.failures += 1;
    setTimeout(() => this.retry(), wait * (1 + Math.random() / 4));
  }

  async retry() {
    if (this.socket !== null) return;
    const response = this.failures > 1 ? await fetch("/session").catch(() => null) : null;
    if (response?.status === 401) location.replace("/login");
    else if (this.socket === null) this.connect();
  }

  send(frame) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame));
  }

  hear(frame) {
    this.heard = performance.now();
    if (frame.type === "ping") this.send({ type: "pong", id: frame.id, at: seconds() });
    else if (frame.type === "welcome") this.welcome(frame);
    else if (frame.type === "state") this.tell(frame);
    else if (frame.type === "answer") this.answer(frame);
    else if (frame.type === "over") this.end(frame);
    else if (frame.type === "refused") console.warn(`The motion link refuses: ${frame.sentence}`);
  }

  welcome({ name, linear_speed: linear, angular_speed: angular }) {
    Object.assign(this, { connected: true, failures: 0, name, top: { linear, angular } });
    this.returning = recall("lease") !== "";
    this.changed();
  }

  tell({ lease, you }) {
    const before = JSON.stringify([this.lease, this.you]);
    Object.assign(this, { lease, you });
    // After a reload the operator goes on where they were, unless another has begun meanwhile.
    if (this.returning && lease.holder === "") this.ask();
    this.returning = false;
    if (you.holds) remember("lease", "held");
    else if (lease.holder !== "") remember("lease", "");
    if (JSON.stringify([lease, you]) !== before) this.changed();
  }

  end({ hold, sentence }) {
    if (hold !== this.hold || !this.held.any) return;
    this.over = sentence;
    this.changed();
  }

  put(frame) {
    if (!this.connected) return Promise.resolve({ accepted: false, sentence: NOT_CONNECTED });
    this.asks += 1;
    const id = this.asks;
    const late = { id, accepted: false, sentence: "The console has not answered; use the robot's own emergency stop." };
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.answer(late), ANSWER_TIME);
      this.asked.set(id, { resolve, timer });
      this.send({ ...frame, id });
    });
  }

  answer({ id, accepted, sentence }) {
    const asked = this.asked.get(id);
    if (!asked) return;
    clearTimeout(asked.timer);
    this.asked.delete(id);
    asked.resolve({ accepted, sentence });
  }
}

// Per tab by default, so that a reload knows what this tab was.
function remember(key, value, store = sessionStorage) {
  try {
    store.setItem(`magma.${key}`, value);
  } catch {
    // storage is forbidden here; it is only forgotten at the next visit
  }
}

function recall(key, store = sessionStorage) {
  try {
    return store.getItem(`magma.${key}`) ?? "";
  } catch {
    return "";
  }
}

export const link = new Link();
