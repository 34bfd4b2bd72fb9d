"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const two = (n) => String(n).padStart(2, "0");
  const clock = (d) => `${two(d.getHours())}:${two(d.getMinutes())}`;

  // Times as they are here; what they are in UTC stays in the title.
  for (const time of document.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    time.title = time.textContent;
    const seconds = time.dataset.form === "s" ? `:${two(at.getSeconds())}` : "";
    time.textContent = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock(at)}${seconds}`;
  }
  const zone = document.getElementById("zone");
  if (zone) zone.textContent = `${Intl.DateTimeFormat().resolvedOptions().timeZone || "local time"}; hover for UTC`;
  let day = "";
  for (const label of document.querySelectorAll("svg text[data-at]")) {
    if (Number(label.dataset.step) >= 86400) continue;
    const at = new Date(1000 * Number(label.dataset.at));
    const seconds = Number(label.dataset.step) < 60 ? `:${two(at.getSeconds())}` : "";
    const today = at.toLocaleDateString("en", { month: "short", day: "numeric" });
    label.textContent = `${day && day !== today ? `${today} ` : ""}${clock(at)}${seconds}`;
    day = today;
  }

  const table = document.querySelector("table.jobs");
  if (!table) return;
  const jobs = [...table.tBodies];
  const original = [...jobs];
  const told = document.getElementById("told");
  const search = document.getElementById("search");
  let kind = "";

  const button = (text, inside) => {
    const made = document.createElement("button");
    made.type = "button";
    made.append(...inside.childNodes);
    if (text) made.textContent = text;
    return made;
  };

  // Filters: the counts above, and the words typed.
  const texts = new Map();
  const text = (job) => {
    if (!texts.has(job)) texts.set(job, job.textContent.toLowerCase());
    return texts.get(job);
  };
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const job of jobs) {
      const fits = (!kind || job.dataset.kind === kind) && words.every((word) => text(job).includes(word));
      job.hidden = !fits;
      shown += fits;
    }
    told.textContent = shown === jobs.length ? "" : `${shown.toLocaleString("en")} of ${jobs.length.toLocaleString("en")} shown here`;
  };
  const counts = [...document.querySelectorAll(".counts > li")].map((item) => {
    const made = button("", item.firstElementChild);
    item.replaceChildren(made);
    made.setAttribute("aria-pressed", String(item.dataset.kind === ""));
    made.addEventListener("click", () => {
      kind = item.dataset.kind === kind ? "" : item.dataset.kind;
      for (const [other, one] of counts) other.setAttribute("aria-pressed", String(one === kind));
      filter();
    });
    return [made, item.dataset.kind];
  });
  let waits = 0;
  search.addEventListener("input", () => {
    clearTimeout(waits);
    waits = setTimeout(filter, 120);
  });

  // Sorting: up, down, and back to the order of the file.
  const heads = [...table.tHead.rows[0].cells];
  const value = (job, column) => {
    const cell = job.rows[0].cells[column];
    return cell.dataset.v === undefined ? cell.textContent.trim().toLowerCase() : cell.dataset.v === "" ? null : Number(cell.dataset.v);
  };
  heads.forEach((head, column) => {
    const made = button("", head);
    head.replaceChildren(made);
    made.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const next = before === null ? "ascending" : before === "ascending" ? "descending" : null;
      for (const other of heads) other.removeAttribute("aria-sort");
      let order = original;
      if (next) {
        head.setAttribute("aria-sort", next);
        const sign = next === "ascending" ? 1 : -1;
        const keyed = original.map((job, i) => [value(job, column), i, job]);
        keyed.sort(([a, i], [b, j]) => {
          if (a === null || b === null) return (a === null) - (b === null) || i - j; // what is not known comes last
          return (a < b ? -1 : a > b ? 1 : 0) * sign || i - j;
        });
        order = keyed.map((entry) => entry[2]);
      }
      table.append(...order);
    });
  });

  const all = (open) => () => {
    for (const job of jobs) if (!job.hidden) job.querySelector("details").open = open;
  };
  document.getElementById("open").addEventListener("click", all(true));
  document.getElementById("close").addEventListener("click", all(false));
})();
