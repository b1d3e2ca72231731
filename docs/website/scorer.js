// The order of search results: guides before pages for contributors, which name everything.
const forContributors = /^(architecture|decisions\/|lab-notes|terms)/;

var Scorer = {
  score: ([page, , , , score]) => (forContributors.test(page) ? score - 4 : score),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
