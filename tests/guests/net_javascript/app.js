// Speaks HTTP with nothing but the global `fetch`.

async function page(url, request) {
  const response = await told(fetch(url, request));
  return { status: response.status, text: await told(response.text()) };
}

// An error of the function's own type is a text that is thrown.
async function told(promise) {
  try {
    return await promise;
  } catch (error) {
    throw String(error);
  }
}

export const pages = {
  fetchText: (url) => page(url),

  post: (url, body) =>
    page(url, { method: "POST", headers: { "content-type": "text/plain" }, body }),

  async fetchAll(urls) {
    const responses = await told(Promise.all(urls.map((url) => fetch(url))));
    return responses.map((response) => response.status);
  },

  async count(url) {
    const reader = (await told(fetch(url))).body.getReader();
    let length = 0;
    for (;;) {
      const { done, value } = await told(reader.read());
      if (done) return BigInt(length);
      length += value.length;
    }
  },
};
