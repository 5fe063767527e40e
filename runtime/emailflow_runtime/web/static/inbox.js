// Keeps the inbox fresh and shows moments in the reader's own time. Every page is complete without it.
"use strict";

function showOwnTime(root) {
  const today = new Date().toDateString();
  for (const element of root.querySelectorAll("time")) {
    const moment = new Date(element.dateTime);
    const time = { hour: "2-digit", minute: "2-digit" };
    const day = { day: "numeric", month: "short" };
    const short = moment.toDateString() === today ? time : day;
    const format = "short" in element.dataset ? short : { ...day, ...time, year: "numeric" };
    element.textContent = moment.toLocaleString(undefined, format);
    element.title = moment.toLocaleString();
  }
}

async function refresh() {
  const response = await fetch(location.href);
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  showOwnTime(fresh);
  const focused = document.activeElement?.getAttribute("href");
  document.getElementById("messages").replaceWith(document.adoptNode(fresh.getElementById("messages")));
  document.getElementById("counts").textContent = fresh.getElementById("counts").textContent;
  document.title = fresh.title;
  if (focused) document.querySelector(`#messages a[href="${CSS.escape(focused)}"]`)?.focus();
}

function follow(position) {
  let busy = false;
  let again = false;
  new EventSource(`/inbox/changes?after=${position}`).onmessage = async () => {
    again = true;
    if (busy) return;
    busy = true;
    while (again) {
      again = false;
      await refresh().catch(() => {}); // the server restarts: the next change tells
    }
    busy = false;
  };
}

showOwnTime(document);
const list = document.getElementById("messages");
if (list) follow(list.dataset.position);
