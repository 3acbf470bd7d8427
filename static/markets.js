// The symbol fields of the bot form search while one types. Without this file they are plain texts.
(() => {
  "use strict";
  const WAIT = 150;
  const list = document.getElementById("symbols");
  const form = document.querySelector(".bot-form");
  const inputs = ["symbol", "more_symbols"].map((name) => form.elements[name]);
  let input = null;
  let timer = 0;
  let asked = 0;

  const options = () => [...list.children];
  const chosen = () => options().findIndex((option) => option.getAttribute("aria-selected") === "true");
  // The second field holds several: the one behind the last comma is searched for.
  const head = () => (input.name === "symbol" ? "" : input.value.slice(0, input.value.lastIndexOf(",") + 1));
  const term = () => input.value.slice(head().length).trim();

  const close = () => {
    clearTimeout(timer);
    asked += 1;
    list.hidden = true;
    for (const each of inputs) {
      if (!each) continue;
      each.setAttribute("aria-expanded", "false");
      each.removeAttribute("aria-activedescendant");
    }
  };
  const choose = (index) => {
    const all = options();
    all.forEach((option, at) => option.setAttribute("aria-selected", String(at === index)));
    if (!all[index]) return;
    input.setAttribute("aria-activedescendant", all[index].id);
    all[index].scrollIntoView({ block: "nearest" });
  };
  const open = () => {
    if (!options().length || document.activeElement !== input) return close();
    input.closest(".field").append(list);
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    document.getElementById("live").textContent = list.dataset.found.replace("{n}", options().length);
  };
  const search = () => {
    const values = { symbol: term() };
    for (const name of ["exchange", "mode", "position_type"]) values[name] = form.elements[name].value;
    const mine = (asked += 1);
    fetch(`${list.dataset.url}?${new URLSearchParams(values)}`, { headers: { "HX-Request": "true" } })
      .then((answer) => (answer.ok ? answer.text() : ""))
      .then((html) => {
        if (mine !== asked) return;
        list.innerHTML = html;
        open();
      })
      // No connection: what is typed is checked when it is sent.
      .catch(close);
  };
  const pick = (option) => {
    const before = head();
    input.value = before + (before ? " " : "") + option.dataset.value;
    close();
    // The check of the form listens to this; the search must not begin anew.
    input.dispatchEvent(new CustomEvent("input", { bubbles: true, detail: "picked" }));
  };

  const keys = {
    ArrowDown: () => choose((chosen() + 1) % options().length),
    ArrowUp: () => choose((Math.max(chosen(), 0) + options().length - 1) % options().length),
    Enter: () => pick(options()[chosen()]),
    Escape: close,
  };
  const enhance = (each) => {
    // The list that the page brings for browsers without scripts.
    each.removeAttribute("list");
    each.setAttribute("role", "combobox");
    each.setAttribute("aria-autocomplete", "list");
    each.setAttribute("aria-controls", list.id);
    each.setAttribute("aria-expanded", "false");
    each.addEventListener("input", (event) => {
      if (event.detail === "picked") return;
      input = each;
      clearTimeout(timer);
      timer = setTimeout(search, WAIT);
    });
    each.addEventListener("keydown", (event) => {
      input = each;
      if (event.key === "ArrowDown" && list.hidden) {
        event.preventDefault();
        return search();
      }
      if (list.hidden || !keys[event.key] || (event.key === "Enter" && chosen() < 0)) return;
      event.preventDefault();
      keys[event.key]();
    });
    each.addEventListener("blur", close);
  };
  for (const each of inputs) if (each && !each.disabled) enhance(each);
  // Not the click: by then the field has lost the focus.
  list.addEventListener("mousedown", (event) => {
    event.preventDefault();
    const option = event.target.closest("[role=option]");
    if (option) pick(option);
  });
})();
