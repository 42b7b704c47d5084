// Filter the list by name and verdict. Without this script the whole list is there.
(() => {
  const form = document.getElementById("filter");
  const search = document.getElementById("search");
  const label = document.getElementById("label");
  const shown = document.getElementById("shown");
  const rows = [...document.querySelectorAll("tbody tr")];
  const apply = () => {
    const wanted = search.value.trim().toLowerCase();
    let count = 0;
    for (const row of rows) {
      const fits = row.dataset.name.includes(wanted) && (!label.value || row.dataset.label === label.value);
      row.hidden = !fits;
      count += fits;
    }
    shown.textContent = `${count} of ${rows.length} shown`;
  };
  form.hidden = false;
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  apply();
})();
