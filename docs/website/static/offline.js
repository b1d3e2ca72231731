// Pages that are opened as files cannot be fetched for the excerpts of search results.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
