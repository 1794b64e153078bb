/** Texts that try to run something, or to be elements. */
const hostileTexts = [
  '<img src=x onerror="globalThis.harm=1">',
  "<script>globalThis.harm=2</script>",
  "[click](javascript:globalThis.harm=3) ![x](javascript:globalThis.harm=4)",
  '<svg><animate onbegin="globalThis.harm=5" attributeName=x dur=1s>',
  "```html\n</code></pre><img src=x onerror=globalThis.harm=6>\n```",
  '$\\href{javascript:globalThis.harm=7}{x}$ $$\\htmlData{a=b}{x}$$ <math><mtext><style><img src=x onerror="globalThis.harm=8">',
  '| a |\n|---|\n| <iframe srcdoc="<script>parent.harm=9</script>"> |',
  '<a href="data:text/html,<script>harm=10</script>">x</a> <form action=javascript:harm=11><input type=submit>',
];
let parent;
/** A file of a conversation made of them. */
export const hostileConversation = {
  title: '<img src=x onerror="globalThis.harm=12">',
  messages: hostileTexts.flatMap((text, i) => {
    const asked = { id: `q${i}`, parent, role: "user", text };
    const answered = { id: `a${i}`, parent: `q${i}`, role: "assistant", text };
    parent = `a${i}`;
    return [asked, answered];
  }),
};
