// Messages that come at the foot of the page. Those with something to do stay until they are closed.

const SECONDS = 8;

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
  document.getElementById("toasts").append(toast);
  if (!isWrong) setTimeout(() => toast.remove(), SECONDS * 1000);
}
