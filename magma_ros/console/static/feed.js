// Copyright 2026 The magma_ros authors
// SPDX-License-Identifier: Apache-2.0
// What the server tells: it is asked again only when the last answer has been drawn, so that nothing
// queues on a slow machine. Silence is noticed here, by this browser's own clock.

const SILENCE = 500; // time without a view after which nothing shown is to be believed [ms]
const RETRY = 500; // time until the next attempt to connect [ms]
const GIVE_UP = 3000; // silence after which a connection is replaced [ms]

export class Feed {
  // onview(view), onpicture(camera, blob, heard) -> Promise, onsilence(seconds or 0)
  constructor({ onview, onpicture, onsilence }) {
    Object.assign(this, { onview, onpicture, onsilence });
    this.view = null;
    this.heardAt = -Infinity; // of the newest view, on performance.now() [ms]
    this.openedAt = -Infinity;
    this.cameras = new Map(); // name -> time of the picture drawn last [s], on the server's clock
    this.waiting = new Set(); // cameras that a picture is asked of
    this.connect();
    document.addEventListener("visibilitychange", () => this.ask());
    setInterval(() => this.tick(), 100);
  }

  connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.openedAt = performance.now();
    const socket = new WebSocket(`${scheme}://${location.host}/watch`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.waiting.clear();
      this.asked = false;
      this.ask();
    };
    socket.onmessage = ({ data }) => (typeof data === "string" ? this.tell(data) : this.draw(data));
    socket.onclose = () => {
      if (this.socket === socket) setTimeout(() => this.connect(), RETRY);
    };
    this.socket = socket;
  }

  // Ask for a view, in which the policy may call for help, and for every picture that is not asked
  // for yet; a hidden page needs none.
  ask() {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    const pictures = {};
    for (const [name, heard] of document.hidden ? [] : this.cameras) {
      if (!this.waiting.has(name)) pictures[name] = heard;
    }
    const view = !this.asked;
    if (!view && Object.keys(pictures).length === 0) return;
    for (const name of Object.keys(pictures)) this.waiting.add(name);
    this.asked = true;
    this.socket.send(JSON.stringify({ view, pictures }));
  }

  tell(text) {
    this.asked = false;
    this.view = JSON.parse(text);
    this.heardAt = performance.now();
    const names = new Set(this.view.cameras.map((camera) => camera.name));
    for (const name of names) if (!this.cameras.has(name)) this.cameras.set(name, -1);
    for (const name of this.cameras.keys()) if (!names.has(name)) this.cameras.delete(name);
    this.onview(this.view);
    this.tick();
    this.ask();
  }

  async draw(data) {
    const header = new DataView(data);
    const heard = header.getFloat64(0);
    const start = 9 + header.getUint8(8);
    const camera = new TextDecoder().decode(new Uint8Array(data, 9, start - 9));
    await this.onpicture(camera, new Blob([new Uint8Array(data, start)], { type: "image/jpeg" }), heard);
    this.waiting.delete(camera);
    if (this.cameras.has(camera)) this.cameras.set(camera, heard);
    this.ask();
  }

  // Time since the newest view [s].
  get age() {
    return (performance.now() - this.heardAt) / 1000;
  }

  // Now, on the server's monotonic clock [s], late by the way here.
  get now() {
    return this.view ? this.view.now + this.age : NaN;
  }

  tick() {
    const silence = performance.now() - Math.max(this.heardAt, 0);
    this.onsilence(silence > SILENCE ? silence / 1000 : 0);
    const stuck = silence > GIVE_UP && performance.now() - this.openedAt > GIVE_UP;
    if (stuck && this.socket.readyState <= WebSocket.OPEN) {
      this.socket.onclose = null;
      this.socket.close();
      this.connect();
    }
  }
}
