"""FastAPI Users on PostgreSQL, with sessions in the database, as its documentation sets it up."""

import asyncio
import os
import uuid

from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport
from fastapi_users.authentication.strategy.db import DatabaseStrategy
from fastapi_users.db import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from fastapi_users.password import PasswordHelper
from fastapi_users_db_sqlalchemy.access_token import (
    SQLAlchemyAccessTokenDatabase,
    SQLAlchemyBaseAccessTokenTableUUID,
)
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

# Nothing that is signed with it outlives the benchmark.
SECRET = "a secret of the benchmark, 5b1f0c2e9d7a4836"


class Base(DeclarativeBase):
    pass


class User(SQLAlchemyBaseUserTableUUID, Base):
    pass


class AccessToken(SQLAlchemyBaseAccessTokenTableUUID, Base):
    pass


class UserRead(schemas.BaseUser[uuid.UUID]):
    pass


class UserCreate(schemas.BaseUserCreate):
    pass


class UserManager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    reset_password_token_secret = SECRET
    verification_token_secret = SECRET


engine = create_async_engine(os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+asyncpg:"))
new_session = async_sessionmaker(engine, expire_on_commit=False)

# What all who use Argon2id here have.
password_helper = PasswordHelper(
    PasswordHash((Argon2Hasher(time_cost=2, memory_cost=19456, parallelism=1),))
)


async def session():
    async with new_session() as opened:
        yield opened


async def user_database(opened=Depends(session)):
    yield SQLAlchemyUserDatabase(opened, User)


async def access_token_database(opened=Depends(session)):
    yield SQLAlchemyAccessTokenDatabase(opened, AccessToken)


async def user_manager(database=Depends(user_database)):
    yield UserManager(database, password_helper)


def strategy(database=Depends(access_token_database)):
    return DatabaseStrategy(database, lifetime_seconds=3600)


backend = AuthenticationBackend("database", BearerTransport("auth/login"), strategy)
fastapi_users = FastAPIUsers[User, uuid.UUID](user_manager, [backend])

app = FastAPI()
app.include_router(fastapi_users.get_auth_router(backend), prefix="/auth")
app.include_router(fastapi_users.get_register_router(UserRead, UserCreate), prefix="/auth")


@app.get("/health")
async def health():
    return {}


# The one route of /users that is measured.
@app.get("/users/me", response_model=UserRead)
async def me(user: User = Depends(fastapi_users.current_user(active=True))):
    return user


async def create_tables():
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(create_tables())
