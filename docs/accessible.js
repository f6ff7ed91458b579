// What axe-core finds in the theme: a dialog, bars of buttons and tables that scroll, which a screen reader or a keyboard cannot tell
// apart or reach. The theme makes them after the page has loaded.
document$.subscribe(() => {
  const name = (each, label) => each.setAttribute("aria-label", label);
  document.querySelectorAll(".md-search").forEach((each) => name(each, "Search"));
  setTimeout(() => {
    document.querySelectorAll(".md-code__nav").forEach((each, i) => name(each, `Code ${i + 1}`));
    document.querySelectorAll(".md-typeset__scrollwrap").forEach((each) => (each.tabIndex = 0));
  });
});
