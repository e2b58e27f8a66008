// Messages that come at the foot of the page. Those with something to do stay until they are closed.

const SECONDS = 8;
// As long as screen readers take to notice a region in which something appears.
const NOTICED_MILLISECONDS = 100;

/** Show a message; `request` is the number under which the server's log has it. */
export function say(text, { request, isWrong = false } = {}) {
  const words = document.body.dataset;
  const toast = document.createElement("div");
  toast.className = isWrong ? "toast wrong" : "toast";
  const message = document.createElement("span");
  message.textContent = text || words.saysFailed;
  toast.append(message);
  if (request) {
    const code = document.createElement("code");
    code.textContent = request;
    message.append(` ${words.saysRequest} `, code);
  }
  const close = document.createElement("button");
  close.className = "bare";
  close.type = "button";
  close.dataset.close = "";
  close.textContent = words.saysClose;
  toast.append(close);
  // What lies below a dialog is out of reach.
  const dialog = document.querySelector("dialog[open]");
  const place = dialog ?? document.getElementById("toasts");
  if (dialog) toast.setAttribute("role", "alert");
  for (const each of place.querySelectorAll(":scope > .toast.wrong")) {
    // The same again, as of each thing that is typed while there is no connection.
    if (each.firstChild.firstChild?.data === message.firstChild.data) each.remove();
  }
  place.append(toast);
  if (dialog) toast.scrollIntoView({ block: "nearest" });
  if (!isWrong) goSoon(toast);
  return toast;
}

/** Begin with the messages that a page brought along. */
export function welcomeToasts() {
  const place = document.getElementById("toasts");
  const brought = [...place.children];
  // What a region holds from its beginning is not read aloud.
  place.replaceChildren();
  setTimeout(() => {
    const present = document.getElementById("toasts");
    present.append(...brought);
    htmx.process(present);
  }, NOTICED_MILLISECONDS);
  for (const each of brought) if (!each.querySelector("form")) goSoon(each);
}

function goSoon(toast) {
  setTimeout(() => toast.remove(), SECONDS * 1000);
}
