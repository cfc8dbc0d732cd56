// Search over the pages of the site, without a server: the index is in this file.
const index = MiniSearch.loadJSON(INDEX, { fields: ['title', 'text'], storeFields: ['title', 'page'] })
const field = document.getElementById('search')
const found = document.getElementById('found')
field.addEventListener('input', () => {
  const results = index.search(field.value, { prefix: true, fuzzy: 0.2, combineWith: 'AND', boost: { title: 2 } })
  found.replaceChildren(...results.slice(0, 12).map(({ title, page }) => {
    const link = document.createElement('a')
    link.href = page
    link.textContent = title
    const item = document.createElement('li')
    item.append(link)
    return item
  }))
})
found.addEventListener('click', () => found.replaceChildren())
if (matchMedia('(max-width: 48rem)').matches) document.querySelector('nav details').open = false
