// What HTML alone cannot do here. Everything works without this file, only with reloads.
(() => {
  "use strict";
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);

  // -- Ages and countdowns go on between two polls ------------------------------------------------
  const units = (root.dataset.units || "").split("|");
  const unit = (index, n) => units[index].replace("%(n)d", n);
  const duration = (seconds) => {
    const whole = Math.max(Math.floor(seconds), 0);
    if (whole < 60) return unit(0, whole);
    if (whole < 3600) return unit(1, Math.floor(whole / 60));
    if (whole >= 86400) return unit(3, Math.floor(whole / 86400));
    const minutes = Math.floor((whole % 3600) / 60);
    const hours = unit(2, Math.floor(whole / 3600));
    return minutes ? `${hours} ${unit(1, minutes)}` : hours;
  };
  // The server's clock counts: the page is as old as its newest answer.
  let skew = 0;
  const keepTime = (date) => { if (date) skew = Date.parse(date) - Date.now(); };
  const count = () => {
    if (document.hidden) return;
    for (const time of document.querySelectorAll("time[data-count]")) {
      const away = (Date.parse(time.dateTime) - Date.now() - skew) / 1000;
      const kind = time.dataset.count;
      const bare = duration(kind === "since" || kind === "past" ? -away : away);
      const text = kind in root.dataset ? root.dataset[kind].replace("%(duration)s", bare) : bare;
      if (time.textContent === text) continue;
      // Beside a right edge a longer text begins further left: then it is another one, nothing has moved.
      const shown = time.textContent.length === text.length ? time : time.cloneNode();
      shown.textContent = text;
      if (shown !== time) time.replaceWith(shown);
    }
  };
  setInterval(count, 1000);

  // -- Polling: never while hidden; three failures are said ---------------------------------------
  const polled = (target) => target instanceof Element && target.hasAttribute("data-poll");
  let failures = 0;
  let heard = new Date();

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (polled(event.detail.elt) && document.hidden) event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    for (const element of document.querySelectorAll("[data-poll]")) htmx.trigger(element, "wake");
  });

  const offline = () => {
    const note = byId("offline");
    const format = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone: root.dataset.zone };
    note.textContent = note.dataset.text.replace("{time}", heard.toLocaleTimeString(root.lang, format));
    note.hidden = false;
    for (const element of document.querySelectorAll("[data-poll]")) element.classList.add("stale");
  };
  const online = (date) => {
    failures = 0;
    heard = date ? new Date(date) : new Date();
    byId("offline").hidden = true;
    for (const element of document.querySelectorAll("[data-poll]")) element.classList.remove("stale");
  };
  document.addEventListener("htmx:afterRequest", (event) => {
    if (!polled(event.detail.elt)) return;
    const date = event.detail.xhr && event.detail.xhr.getResponseHeader("Date");
    if (event.detail.successful) {
      keepTime(date);
      online(date);
    } else if (++failures >= 3) {
      offline();
    }
  });

  // -- A changed fragment: title, icon, and one polite word about the status -----------------------
  let status = null;
  const settle = () => {
    const element = document.querySelector("[data-poll]");
    if (!element) return;
    const errors = Number(element.dataset.errors || 0);
    const mark = errors ? (element.id === "board" ? `(${errors}) ` : "▲ ") : "";
    document.title = mark + element.dataset.title;
    const icon = byId("icon");
    const file = errors ? icon.dataset.error : icon.dataset.ok;
    if (icon.getAttribute("href") !== file) icon.href = file;
    const now = element.dataset.status;
    if (now !== undefined && status !== null && now !== status) byId("live").textContent = now;
    if (now !== undefined) status = now;
    count();
  };
  document.addEventListener("htmx:afterSettle", settle);

  // -- Dialogs: a link to a plain page opens the same question here --------------------------------
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-dialog]");
    const dialog = link && byId(link.dataset.dialog);
    if (!dialog || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    dialog.showModal();
    dialog.addEventListener("close", () => link.isConnected && link.focus(), { once: true });
  });

  // -- A form is sent once: its buttons rest until the answer --------------------------------------
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method === "dialog" || event.defaultPrevented) return;
    // After this turn, so that the pressed button's own value is still sent.
    setTimeout(() => {
      for (const button of document.querySelectorAll("button")) {
        if (button.form === form) button.disabled = true;
      }
    });
  });
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const button of document.querySelectorAll("button:disabled")) button.disabled = false;
  });

  // -- What was typed outlives a session: kept when a form is sent, given back once after signing in --
  // Secrets are not kept, and nothing is given to who signs in under another name.
  const apart = ["hidden", "password", "file", "submit", "button"];
  const typed = (form) => [...form.elements].filter((input) =>
    input.name && !input.disabled && !apart.includes(input.type) && !input.dataset.unseen);
  const who = () => document.querySelector(".who a").textContent;
  const isAway = location.pathname.startsWith("/accounts/");
  const keep = (form) => {
    if (!form || form.method !== "post" || isAway) return;
    const values = typed(form).map(({ name, value, checked }) => ({ name, value, checked }));
    const draft = [who() + location.pathname, form.getAttribute("action"), values];
    if (values.length) sessionStorage.setItem("draft", JSON.stringify(draft));
  };
  document.addEventListener("submit", (event) => keep(event.target));
  // A poll, or the look at what is being typed, may be the first to find the session gone.
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    if (event.detail.xhr.getResponseHeader("HX-Redirect"))
      keep(document.activeElement.form || document.querySelector(".bot-form"));
  });
  const giveBack = () => {
    if (location.pathname === "/accounts/login/") sessionStorage.setItem("out", "1");
    if (isAway) return;
    const draft = sessionStorage.getItem("out") && sessionStorage.getItem("draft");
    sessionStorage.clear();
    if (!draft) return;
    const [place, action, values] = JSON.parse(draft);
    const form = [...document.forms].find((one) => one.getAttribute("action") === action && typed(one).length);
    if (!form || place !== who() + location.pathname) return;
    const fill = () => {
      const left = typed(form);
      for (const value of values) {
        const at = left.findIndex((input) => input.name === value.name);
        if (at >= 0) Object.assign(left.splice(at, 1)[0], value);
      }
    };
    fill();
    const fold = form.closest("details");
    if (fold) fold.open = true;
    if (byId("check")) htmx.trigger(byId("check"), "filled");
    const { strategy, params_of: shown } = form.elements;
    if (!shown || strategy.value === shown.value) return;
    // Another strategy's own fields come first, then what was typed into them.
    document.addEventListener("htmx:afterSettle", (event) => event.target.id === "group-strategy" && fill());
    htmx.trigger(strategy, "change");
  };

  // -- Presets fill the fields in place and mark them ----------------------------------------------
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-preset]");
    const form = document.querySelector(".bot-form");
    if (!link || !form) return;
    event.preventDefault();
    for (const [name, value] of Object.entries(JSON.parse(byId(link.dataset.preset).textContent))) {
      const input = form.elements[name];
      if (!input) continue;
      if (input.type === "checkbox") input.checked = value;
      else input.value = value === null ? "" : value;
      input.closest(".field").classList.add("filled");
    }
    for (const other of document.querySelectorAll("[data-preset]")) other.removeAttribute("aria-current");
    link.setAttribute("aria-current", "true");
    htmx.trigger(byId("check"), "filled");
  });

  document.addEventListener("DOMContentLoaded", () => {
    // What the reader unfolded or what waits for its answer stays so when the fragment changes.
    Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) =>
      !(name === "open" && node.tagName === "DETAILS") && !(name === "disabled" && node.tagName === "BUTTON");
    // A figure that changed is another figure, not one that grew to the left; and a log with a new line is
    // another log, not one whose lines moved down. What the reader is in stays.
    Idiomorph.defaults.callbacks.beforeNodeMorphed = (old, fresh) => {
      if (!(old instanceof Element) || old.isEqualNode(fresh)) return true;
      const isFigure = old.matches(".num, dd, td[data-label], p.muted, .sentence") && !old.querySelector("a, button, summary");
      const isLog = old.matches(".log") && !old.contains(document.activeElement);
      if (!isFigure && !isLog) return true;
      old.className = fresh.className;
      old.replaceChildren(...fresh.cloneNode(true).childNodes);
      return false;
    };
    settle();
    giveBack();
  });
})();
