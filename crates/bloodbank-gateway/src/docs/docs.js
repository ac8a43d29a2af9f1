"use strict";

const make = (name, text, ...children) => {
  const element = document.createElement(name);
  if (text) element.textContent = text;
  element.append(...children);
  return element;
};
const json = (value) => JSON.stringify(value, null, 2);
const token = () => document.getElementById("token").value.trim();
const headers = (more) => (token() ? { ...more, Authorization: `Bearer ${token()}` } : more);

const resolve = (root, schema) => {
  if (!schema || !schema.$ref) return schema;
  const words = schema.$ref.slice(2).split("/").map((word) => word.replace(/~1/g, "/").replace(/~0/g, "~"));
  return words.reduce((value, word) => (value === undefined ? value : value[word]), root);
};

const parameters = (list) => {
  const table = make("table");
  for (const parameter of list) {
    const name = make("td", "", make("code", parameter.name), ` (${parameter.in})`);
    table.append(make("tr", "", name, make("td", parameter.description || "")));
  }
  return table;
};

const trial = (method, path, content) => {
  const box = make("div");
  const example = content && Object.values(content.examples || {})[0];
  const body = make("textarea", example ? json(example.value) : "{}");
  const address = make("input");
  address.value = path;
  address.size = 60;
  const send = make("button", method.toUpperCase());
  const answer = make("pre");
  answer.hidden = true;
  send.addEventListener("click", async () => {
    const options = { method: method.toUpperCase(), headers: headers({}) };
    if (content) {
      options.body = body.value;
      options.headers = headers({ "Content-Type": "application/json" });
    }
    answer.hidden = false;
    try {
      const response = await fetch(address.value.replace(/^\//, ""), options);
      const text = await response.text();
      let shown = text;
      try { shown = json(JSON.parse(text)); } catch { /* It is not JSON. */ }
      answer.textContent = `${response.status} ${response.statusText}\n${shown}`;
    } catch (error) {
      answer.textContent = String(error);
    }
  });
  box.append(make("p", "", address, " ", send));
  if (content) box.append(body);
  box.append(answer);
  return box;
};

const operation = (root, path, method, it) => {
  const details = make("details");
  details.append(make("summary", "", make("b", method), make("code", path), it.summary || ""));
  details.addEventListener("toggle", () => {
    if (!details.open || details.children.length > 1) return;
    const inside = make("div", it.description || "");
    inside.className = "inside";
    if ((it.parameters || []).length) inside.append(parameters(it.parameters));
    const content = it.requestBody && it.requestBody.content["application/json"];
    if (content) inside.append(make("h3", "Body"), make("pre", json(resolve(root, content.schema))));
    const answers = Object.entries(it.responses || {}).map(([status, answer]) => `${status}  ${answer.description}`);
    inside.append(make("h3", "Answers"), make("pre", answers.join("\n")));
    if (!path.startsWith("/stream") && !path.startsWith("/ws")) inside.append(trial(method, path, content));
    details.append(inside);
  });
  return details;
};

const show = (root) => {
  const main = document.getElementById("operations");
  const wanted = document.getElementById("filter").value.trim().toLowerCase();
  const groups = new Map();
  for (const [path, item] of Object.entries(root.paths)) {
    for (const [method, it] of Object.entries(item)) {
      if (!`${path} ${it.summary || ""}`.toLowerCase().includes(wanted)) continue;
      const tag = (it.tags || ["other"])[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(operation(root, path, method, it));
    }
  }
  main.replaceChildren(...[...groups].flatMap(([tag, operations]) => [make("h2", tag), ...operations]));
};

let loaded;
const load = async () => {
  const main = document.getElementById("operations");
  try {
    const response = await fetch("openapi.json", { headers: headers({}) });
    if (!response.ok) throw new Error((await response.json()).detail);
    loaded = await response.json();
    show(loaded);
  } catch (error) {
    const said = make("p", String(error.message || error));
    said.className = "error";
    main.replaceChildren(said);
  }
};

document.getElementById("token").addEventListener("change", load);
document.getElementById("filter").addEventListener("input", () => loaded && show(loaded));
load();
