// The websocket to the monitor: reconnects for ever, and says at once when what it gave is old.
//
// The monitor sends a state every second. Nothing for SILENCE_MS means that the connection is lost, whether
// the socket knows it or not.

const SILENCE_MS = 3500;
const RETRY_MS = [500, 1000, 2000, 4000];

export class Feed {
  // on: { state(message), ladder(message), lost(), live() }
  constructor(on) {
    this.on = on;
    this.live = false;
    this.attempts = 0;
    this.watched = null;
    this.heardAt = performance.now();
    setInterval(() => this.check(), 500);
    document.addEventListener("visibilitychange", () => this.check());
    this.connect();
  }

  watch(book) {
    this.watched = book;
    this.tell();
  }

  retry() {
    this.attempts = 0;
    this.connect();
  }

  connect() {
    clearTimeout(this.timer);
    this.socket?.close();
    const address = new URL("ws", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    address.hash = "";
    const socket = (this.socket = new WebSocket(address));
    this.openedAt = performance.now();
    socket.onopen = () => this.tell();
    socket.onmessage = (event) => socket === this.socket && this.hear(JSON.parse(event.data));
    socket.onclose = () => socket === this.socket && this.lose();
  }

  hear(message) {
    this.heardAt = performance.now();
    this.attempts = 0;
    if (!this.live) {
      if (message.type !== "state") return;
      this.live = true;
      this.on.live();
    }
    this.on[message.type]?.(message);
  }

  check() {
    const now = performance.now();
    if (this.live && now - this.heardAt > SILENCE_MS) this.lose();
    else if (!this.live && this.socket && now - Math.max(this.openedAt, this.heardAt) > 2 * SILENCE_MS) this.lose();
  }

  lose() {
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    if (this.live) {
      this.live = false;
      this.lostAt = performance.now();
    }
    this.on.lost();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.connect(), RETRY_MS[Math.min(this.attempts++, RETRY_MS.length - 1)]);
  }

  tell() {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.socket.send(JSON.stringify({ watch: this.watched }));
  }
}
