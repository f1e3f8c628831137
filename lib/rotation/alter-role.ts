import { type Login, withLogin } from '../database/login.ts';

/** Gives a role another password. Rejects when there is no such role, or `login` may not change it. */
export async function setPassword(login: Login, role: string, password: string): Promise<void> {
  await withLogin(login, async (query) => {
    // The password stays out of the server's log, also when the statement fails.
    for (const setting of [
      "log_statement = 'none'",
      'log_min_duration_statement = -1',
      "log_min_error_statement = 'panic'",
      'log_parameter_max_length_on_error = 0',
    ])
      await query(`SET ${setting}`);
    const [made] = await query("SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text) AS sql", [
      role,
      password,
    ]);
    await query(String(made?.sql));
  });
}
