// Asks for a stream and leaves after its first event: `node leave.js BASE_URL`.
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: process.argv[2], apiKey: 'unused', maxRetries: 0 });
const messages = [{ role: 'user', content: 'What is the capital of France?' }];
const stream = await client.chat.completions.create({ model: 'auto', messages, stream: true });
for await (const _ of stream) break;
console.log(JSON.stringify('left'));
