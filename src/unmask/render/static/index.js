// Filter the list by name and verdict. Without this script the whole list is there.
(() => {
  const form = document.getElementById("filter");
  const search = document.getElementById("search");
  const shown = document.getElementById("shown");
  const none = document.getElementById("none");
  const rows = [...document.querySelectorAll("tbody tr")];
  const apply = () => {
    const name = search.value.trim().toLowerCase();
    const label = form.querySelector("input[name=label]:checked").value;
    let count = 0;
    for (const row of rows) {
      const fits = row.dataset.name.includes(name) && (!label || row.dataset.label === label);
      row.hidden = !fits;
      count += fits;
    }
    shown.textContent = `${count} of ${rows.length} shown`;
    none.hidden = count > 0;
  };
  form.classList.add("works");
  for (const part of document.querySelectorAll(".needs-script")) part.hidden = false;
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  // Whoever comes back from a report finds the list as it was left.
  addEventListener("pageshow", apply);
})();
