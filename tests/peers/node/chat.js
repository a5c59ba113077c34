// Asks our door by OpenAI's own client: `node chat.js BASE_URL CASE`. Prints what it was told, as JSON.
import OpenAI from 'openai';

const [baseURL, name] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: 'unused', maxRetries: 0 });
const question = { model: 'auto', messages: [{ role: 'user', content: 'What is the capital of France?' }] };

const cases = {
  async whole() {
    const { data, response } = await client.chat.completions.create(question).withResponse();
    return { said: data.choices[0].message.content, model: response.headers.get('x-turnout-model') };
  },
  async stream() {
    const said = [];
    const stream = await client.chat.completions.create({ ...question, stream: true });
    for await (const chunk of stream) said.push(chunk.choices[0].delta.content);
    return said;
  },
  async broken() {
    const said = [];
    try {
      const stream = await client.chat.completions.create({ ...question, stream: true });
      for await (const chunk of stream) said.push(chunk.choices[0].delta.content);
    } catch (error) {
      said.push(error.code);
    }
    return said;
  },
  async refused() {
    try {
      await client.chat.completions.create({ ...question, model: 'gpt-4o' });
    } catch (error) {
      return { status: error.status, code: error.code, param: error.param };
    }
  },
  async models() {
    const listed = [];
    for await (const model of client.models.list()) listed.push(model.id);
    return listed;
  },
};

console.log(JSON.stringify(await cases[name]()));
