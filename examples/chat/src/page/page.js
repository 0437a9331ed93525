import { Socket } from "../tidegate/index.js";

const $ = (id) => document.getElementById(id);
// /chat is the lobby; /chat/blue is the room blue.
const path = location.pathname.replace(/\/chat\/?$/, "/chat/lobby");
$("room").textContent = decodeURIComponent(path.split("/").pop());

let socket = null;
let name = "";
let joined = false;

function show(className, who, text) {
  const log = $("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const item = document.createElement("li");
  item.className = className;
  if (who) {
    const span = document.createElement("span");
    span.className = "who";
    span.textContent = `${who}:`;
    item.append(span, " ");
  }
  item.append(text);
  log.append(item);
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function complain(text) {
  $("error").textContent = text;
}

function say(status) {
  $("status").textContent = status;
}

function enter() {
  joined = true;
  const first = $("say-form").hidden;
  $("join-form").hidden = true;
  $("say-form").hidden = false;
  $("send").disabled = false;
  say("connected");
  // After a pause the reader may be elsewhere in the page.
  if (first) $("line").focus();
}

function leave({ code }) {
  joined = false;
  $("send").disabled = true;
  show("notice", "", `connection lost (${code})`);
}

const handlers = {
  joined(message) {
    if (!joined && message.name === name) enter();
    show("notice", "", `${message.name} joined`);
  },
  left(message) {
    show("notice", "", `${message.name} left`);
  },
  said(message) {
    show(message.name === name ? "mine" : "theirs", message.name, message.text);
  },
  error(message) {
    complain(message.text);
    if (!joined) $("join").disabled = false;
  },
};

function connect() {
  say("connecting …");
  socket = new Socket(path);
  // Each connection is a new one to the server, which knows no name yet.
  socket.addEventListener("open", () => socket.sendJson({ type: "join", name }));
  socket.addEventListener("message", ({ data }) => {
    const message = JSON.parse(data);
    handlers[message.type]?.(message);
  });
  socket.addEventListener("close", leave);
  socket.addEventListener("reconnecting", ({ code, delay }) => {
    say(`not connected (${code}), next try in ${Math.ceil(delay / 1000)} s`);
  });
  socket.addEventListener("end", ({ code, reason }) => {
    socket = null;
    say(`the connection was closed (${code})`);
    complain(reason);
    $("join-form").hidden = $("join").disabled = false;
    $("say-form").hidden = true;
  });
}

$("join-form").addEventListener("submit", (event) => {
  event.preventDefault();
  // As the server will write it, so that the answer is recognized.
  name = $("name").value.trim().replace(/\p{Cc}/gu, "");
  complain("");
  if (!name) return complain("Please say your name.");
  $("join").disabled = true;
  if (!socket) connect();
  else if (socket.state === "open") socket.sendJson({ type: "join", name });
});

$("say-form").addEventListener("submit", (event) => {
  event.preventDefault();
  complain("");
  const text = $("line").value;
  if (!text.trim() || !joined) return;
  try {
    socket.sendJson({ type: "say", text });
    $("line").value = "";
  } catch {
    complain("Not sent: the connection is closing.");
  }
});
