// A button that copies a block of code.
document.addEventListener("DOMContentLoaded", () => {
  const texts = document.querySelector('meta[name="copy-button"]');
  if (!navigator.clipboard || !texts) return;
  for (const block of document.querySelectorAll("article div.highlight")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy-button";
    button.textContent = texts.content;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(block.querySelector("pre").textContent);
      button.textContent = texts.dataset.done;
      setTimeout(() => (button.textContent = texts.content), 2000);
    });
    block.append(button);
  }
});
