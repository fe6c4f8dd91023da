"""The stack of the service that Ostiary replaces: FastAPI, asyncpg, passlib and PyJWT; one route for each thing."""

import asyncio
import hashlib
import json
import os
import pathlib
import secrets
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone

import asyncpg
import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from passlib.context import CryptContext
from pydantic import BaseModel

# Nothing that is signed with it outlives the benchmark.
JWT_SECRET_KEY = "a secret of the benchmark, 5b1f0c2e9d7a4836"
ACCESS_TOKEN_LIFETIME = timedelta(minutes=30)
REFRESH_TOKEN_LIFETIME = timedelta(days=30)

passwords = CryptContext(schemes=["bcrypt"], bcrypt__rounds=12)
# What an unknown login is compared with, so that it costs the same.
decoy = passwords.hash("nobody's password")


class Registration(BaseModel):
    second_login: str
    phone: str
    email: str | None = None
    profile: dict | None = None
    password: str
    group_names: list[str]


class Login(BaseModel):
    login: str
    password: str


class Refresh(BaseModel):
    refresh_token: str


class Tokens(BaseModel):
    access_token: str
    refresh_token: str
    token_type: str = "bearer"


@asynccontextmanager
async def lifespan(app: FastAPI):
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=5, max_size=20) as pool:
        app.state.pool = pool
        yield


app = FastAPI(title="Auth Service", lifespan=lifespan)


def normalised(login: str) -> str:
    login = login.strip()
    if "@" in login:
        return login.lower()
    digits = "".join(character for character in login if character.isdigit())
    if login[:1] in "+78" and len(digits) == 11 and digits[0] in "78":
        return "+7" + digits[1:]
    return login.lower()


async def token_pair(connection: asyncpg.Connection, user_id: str) -> Tokens:
    now = datetime.now(timezone.utc)
    refresh_token = secrets.token_urlsafe(64)
    await connection.fetchval(
        "select auth.create_refresh_token($1, $2, $3)",
        user_id,
        hashlib.sha256(refresh_token.encode()).hexdigest(),
        (now + REFRESH_TOKEN_LIFETIME).isoformat(),
    )
    claims = {"sub": user_id, "exp": now + ACCESS_TOKEN_LIFETIME}
    return Tokens(
        access_token=jwt.encode(claims, JWT_SECRET_KEY, algorithm="HS256"),
        refresh_token=refresh_token,
    )


@app.post("/api/v1/auth/register")
async def register(body: Registration) -> Tokens:
    user = body.model_dump(exclude={"password"})
    for name in ("second_login", "phone", "email"):
        user[name] = user[name] and normalised(user[name])
    # In a thread, so that it does not hold up the other requests.
    user["password_hash"] = await asyncio.to_thread(passwords.hash, body.password)
    async with app.state.pool.acquire() as connection, connection.transaction():
        try:
            row = await connection.fetchrow(
                "select id from accounts.create_user_with_relations($1)", json.dumps(user)
            )
        except asyncpg.RaiseError as error:
            raise HTTPException(400, str(error)) from error
        return await token_pair(connection, str(row["id"]))


@app.post("/api/v1/auth/login")
async def log_in(body: Login) -> Tokens:
    pool = app.state.pool
    row = await pool.fetchrow(
        "select user_id, password_hash from accounts.get_active_user_contact_by_value($1)",
        normalised(body.login),
    )
    stored = row["password_hash"] if row and row["password_hash"] else decoy
    is_right = await asyncio.to_thread(passwords.verify, body.password, stored)
    if not is_right or stored is decoy:
        raise HTTPException(401, "Invalid credentials")
    return await token_pair(pool, str(row["user_id"]))


@app.post("/api/v1/auth/refresh")
async def refresh(body: Refresh) -> Tokens:
    token_hash = hashlib.sha256(body.refresh_token.encode()).hexdigest()
    async with app.state.pool.acquire() as connection, connection.transaction():
        user_id = await connection.fetchval("select auth.consume_refresh_token($1)", token_hash)
        if user_id is None:
            raise HTTPException(401, "Invalid refresh token")
        return await token_pair(connection, user_id)


@app.get("/api/v1/auth/me")
async def me(bearer: HTTPAuthorizationCredentials = Depends(HTTPBearer())):
    try:
        claims = jwt.decode(bearer.credentials, JWT_SECRET_KEY, algorithms=["HS256"])
    except jwt.InvalidTokenError as error:
        raise HTTPException(401, "Invalid access token") from error
    user = await app.state.pool.fetchval("select accounts.get_user($1)", claims["sub"])
    if user is None:
        raise HTTPException(401, "Invalid access token")
    return json.loads(user)


@app.get("/health")
async def health():
    return {}


async def migrate():
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    await connection.execute(pathlib.Path(__file__).with_name("schema.sql").read_text())
    await connection.close()


if __name__ == "__main__":
    asyncio.run(migrate())
