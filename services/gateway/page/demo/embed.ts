/** The snippet, with the address under which this page was found. */

const code = document.querySelector<HTMLElement>("#snippet");
if (code) {
  const here = location.origin;
  code.textContent = `<script type="module" src="${here}/chat/switchboard-chat.js"
  integrity="${code.dataset["integrity"]}"
  crossorigin="anonymous"></script>

<switchboard-chat api="${here}/api/v1" link-hosts="help.example.com"></switchboard-chat>

<script type="module">
  document.querySelector("switchboard-chat").token = async ({ renew }) => {
    const reply = await fetch("/my-own-backend/support-token" + (renew ? "?renew" : ""));
    return reply.ok ? (await reply.json()).token : null;
  };
</script>`;
}
