// Asks as a client of OpenAI does: `node ask.js <options as JSON>` prints what came of it, as JSON.
import OpenAI from "openai";

const { baseURL, apiKey, request, headers = {}, timeout = 30_000, maxRetries = 0 } = JSON.parse(process.argv[2]);
const client = new OpenAI({ baseURL, apiKey, timeout, maxRetries });

async function ask() {
  if (request === undefined) return (await client.models.list()).data.map((model) => model.id);
  const answer = await client.chat.completions.create(request, { headers });
  if (!request.stream) return { text: answer.choices[0].message.content, finish: answer.choices[0].finish_reason };
  const chunks = [];
  for await (const chunk of answer) chunks.push(chunk);
  const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
  return { text, tokens: chunks.at(-1).usage?.total_tokens ?? null };
}

try {
  console.log(JSON.stringify(await ask()));
} catch (error) {
  console.log(JSON.stringify({ error: error.constructor.name, status: error.status ?? null, code: error.code ?? null }));
}
