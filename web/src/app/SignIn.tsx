import { useId, useState, type FormEvent } from "react";
import { signIn } from "../api/session";
import { Header } from "./Header";

/** Where no site hands over a token and this is no development server: the person gives one. */
export function SignIn() {
  const id = useId();
  const [token, setToken] = useState("");
  function submit(event: FormEvent) {
    event.preventDefault();
    if (token.trim()) signIn(token.trim().replace(/^bearer /i, ""));
  }
  return (
    <>
      <Header viewer={undefined} />
      <main>
        <div className="hero">
          <h1>Who is painting?</h1>
          <p>Mintari needs a token that says who you are.</p>
        </div>
        <form className="composer sign-in" aria-label="Sign in" onSubmit={submit}>
          <label htmlFor={id}>Your token</label>
          <input
            id={id}
            className="field"
            type="password"
            autoComplete="off"
            spellCheck={false}
            value={token}
            onChange={(event) => setToken(event.target.value)}
          />
          <p className="hint">It is kept for this tab only. The site that sent you here may also hand it over itself.</p>
          <button type="submit" className="primary-button">
            Come in
          </button>
        </form>
      </main>
    </>
  );
}
