// A page opened from a folder may not fetch the other pages, and the search result's
// excerpt is fetched: without this line each result is an error in the console.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
