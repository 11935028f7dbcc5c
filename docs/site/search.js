// In a search, `--records` is the name of an option. The theme reads a dash before a word as "without it": two are left out.
document.addEventListener("input", event => {
  const field = event.target
  if (field.matches("[data-md-component=search-query]"))
    field.value = field.value.replace(/(^|\s)--+/g, "$1")
}, true)
