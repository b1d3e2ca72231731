// The order of search results: an error code first, and pages for contributors, which name
// everything, after guides.
const forContributors = /^(architecture|decisions\/|lab-notes|terms)/;
const errorCode = / > [RDMC]\d{3}$/;

var Scorer = {
  score: ([page, title, , , score]) =>
    score + (errorCode.test(title) ? 15 : 0) - (forContributors.test(page) ? 4 : 0),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
