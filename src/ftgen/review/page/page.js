// Sorts and filters the table of jobs, and turns the matrix. Everything it needs to know stands in the tables; it
// writes texts and attributes alone, never HTML.
'use strict';
(() => {
  const byId = (id) => document.getElementById(id);
  const create = (name, text = '') => Object.assign(document.createElement(name), {textContent: text});
  const filled = (text, values) => text.replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);

  const table = byId('job-table');
  if (!table) return;
  const heads = [...table.tHead.rows[0].cells];
  const names = heads.map((head) => head.textContent);
  const body = table.tBodies[0];
  const jobs = [...body.rows].map((row) => ({row, texts: [...row.cells].map((cell) => cell.textContent.trim())}));
  const column = (kind) => heads.findIndex((head) => head.dataset.kind === kind);

  // Filter: words that a row holds, and column=value; a value with spaces stands in quotes.
  const box = byId('filter');
  const shown = byId('shown');
  const terms = (text) => [...text.matchAll(/(?:([^\s="]+)=)?(?:"([^"]*)"|(\S+))/g)].map(([, key, quoted, word]) => {
    const at = key === undefined ? -1 : names.indexOf(key);
    const value = quoted ?? word;
    return at < 0 ? {at, value: (key === undefined ? value : `${key}=${value}`).toLowerCase()} : {at, value};
  });
  const meets = (texts, {at, value}) => at < 0
    ? texts.some((text) => text.toLowerCase().includes(value)) : texts[at] === value;
  const filter = () => {
    const wanted = terms(box.value);
    let count = 0;
    for (const {row, texts} of jobs) {
      const keeps = wanted.every((term) => meets(texts, term));
      if (row.hidden === keeps) row.hidden = !keeps;
      count += keeps;
    }
    shown.textContent = filled(shown.dataset.text, {n: count, all: jobs.length});
  };
  box.addEventListener('input', filter);
  box.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') { box.value = ''; filter(); }
  });

  // Sort: by number where all texts are numbers, else as people order names; the third time, as it was.
  const number = (text) => (/^[-+]?[0-9.]/.test(text) ? parseFloat(text) : NaN);
  const words = new Intl.Collator(document.documentElement.lang, {numeric: true});
  const order = (at) => {
    const numbers = jobs.map(({texts}) => number(texts[at]));
    const known = numbers.some((value) => !Number.isNaN(value));
    const all = jobs.every(({texts}, i) => !Number.isNaN(numbers[i]) || texts[at] === '—');
    const keys = known && all ? numbers.map((value) => (Number.isNaN(value) ? -Infinity : value)) : null;
    const compare = keys ? (i, j) => keys[i] - keys[j] : (i, j) => words.compare(jobs[i].texts[at], jobs[j].texts[at]);
    return [...jobs.keys()].sort((i, j) => compare(i, j) || i - j);
  };
  const sort = (at) => {
    const next = {none: 'ascending', ascending: 'descending', descending: 'none'}[heads[at].getAttribute('aria-sort')];
    for (const head of heads) head.setAttribute('aria-sort', 'none');
    heads[at].setAttribute('aria-sort', next);
    const sorted = next === 'none' ? [...jobs.keys()] : order(at);
    if (next === 'descending') sorted.reverse();
    body.append(...sorted.map((i) => jobs[i].row));
  };
  heads.forEach((head, at) => {
    const button = create('button', names[at]);
    button.type = 'button';
    button.addEventListener('click', () => sort(at));
    head.setAttribute('aria-sort', 'none');
    head.replaceChildren(button);
  });

  // Matrix: the jobs of each pair of values, and what they ask for together.
  const matrix = byId('matrix-table');
  const [rowsBox, columnsBox, measureBox] = ['rows', 'columns', 'measure'].map((key) => byId(`pivot-${key}`));
  const plain = (value) => String(Number(value.toPrecision(6)));
  const sum = (kind) => (members) => {
    const at = column(kind);
    const each = members.map(({texts}) => (at < 0 ? parseFloat(table.dataset[kind]) : parseFloat(texts[at])));
    return plain(each.reduce((total, value) => total + (value || 0), 0));
  };
  const verdictOf = ({row}) => (column('fit') < 0 ? 'na' : row.cells[column('fit')].className || 'ok');
  const tone = (members) => ['bad', 'tight', 'ok'].find((name) => members.some((job) => verdictOf(job) === name)) ?? '';
  const word = (members, name) => members.find((job) => verdictOf(job) === name).texts[column('fit')];
  const memory = (members) => {
    const used = members.map(({texts}) => parseFloat(texts[column('memory')])).filter((value) => !Number.isNaN(value));
    if (!used.length) return '—';
    const [low, high] = [Math.min(...used), Math.max(...used)];
    const gravest = ['bad', 'tight'].includes(tone(members)) ? ` ${word(members, tone(members))}` : '';
    return `${low === high ? plain(low) : `${plain(low)} - ${plain(high)}`}${gravest}`;
  };
  const change = (members) => {
    const counts = new Map();
    for (const {texts} of members) counts.set(texts[column('change')], (counts.get(texts[column('change')]) ?? 0) + 1);
    return [...counts].map(([word, count]) => `${count} ${word}`).join(', ');
  };
  const measures = {memory, change, cards: sum('cards'), storage: sum('storage'), jobs: (members) => String(members.length)};
  const quoted = (key, value) => (/[\s"]/.test(value) ? `${key}="${value}"` : `${key}=${value}`);
  const choose = (pairs) => {
    box.value = pairs.filter(([key]) => key).map(([key, value]) => quoted(key, value)).join(' ');
    filter();
    box.focus();
    box.scrollIntoView({block: 'start'});
  };
  const cellOf = (members, pairs, show) => {
    const cell = create('td');
    if (!members.length) return cell;
    const button = create('button', show(members));
    button.type = 'button';
    button.addEventListener('click', () => choose(pairs));
    if (measureBox.value === 'memory') cell.className = tone(members);
    cell.append(button);
    return cell;
  };
  const scoped = (text, scope) => Object.assign(create('th', text), {scope});
  const pivot = () => {
    const [rowKey, columnKey] = [rowsBox, columnsBox].map((select) => select.value && select.selectedOptions[0].textContent);
    const [rowAt, columnAt] = [rowKey, columnKey].map((key) => (key && key !== rowKey ? names.indexOf(key) : -1));
    const first = names.indexOf(rowKey);
    const across = columnAt < 0 ? [''] : [...new Set(jobs.map(({texts}) => texts[columnAt]))];
    const down = [...new Set(jobs.map(({texts}) => texts[first]))];
    const large = Math.max(across.length, down.length) > Number(matrix.dataset.most);
    const values = {rows: rowKey, columns: columnKey, measure: measureBox.selectedOptions[0].textContent};
    matrix.caption.textContent = filled(
      large ? matrix.dataset.large : columnAt < 0 ? matrix.dataset.single : matrix.dataset.caption, values);
    const cells = new Map();
    for (const job of large ? [] : jobs) {
      const key = JSON.stringify([job.texts[first], columnAt < 0 ? '' : job.texts[columnAt]]);
      cells.set(key, [...(cells.get(key) ?? []), job]);
    }
    const head = create('tr');
    head.append(scoped(rowKey, 'col'), ...across.map((value) => scoped(columnAt < 0 ? matrix.dataset.all : value, 'col')));
    matrix.tHead.replaceChildren(head);
    matrix.tBodies[0].replaceChildren(...(large ? [] : down).map((value) => {
      const row = create('tr');
      row.append(scoped(value, 'row'), ...across.map((other) => cellOf(
        cells.get(JSON.stringify([value, other])) ?? [], [[rowKey, value], [columnAt < 0 ? '' : columnKey, other]],
        measures[measureBox.value])));
      return row;
    }));
  };
  if (matrix) {
    for (const select of [rowsBox, columnsBox, measureBox]) select.addEventListener('change', pivot);
    for (const option of [...measureBox.options]) {
      if (['memory', 'change'].includes(option.value) && column(option.value) < 0) option.remove();
    }
    pivot();
  }

  for (const control of document.querySelectorAll('.controls, .scripted')) control.hidden = false;
  filter();
  addEventListener('beforeprint', () => {
    for (const details of document.querySelectorAll('details')) details.open = true;
  });
  document.documentElement.dataset.ready = '';
})();
