"""The GraphQL schema in its own language: the part of Backend.AI's that clients of sessions use."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any, Final

from graphql import GraphQLScalarType, GraphQLSchema, build_schema

SDL: Final = """
scalar JSONString
scalar UUID
scalar DateTime
scalar BigInt
scalar GlobalIDField

type Query {
  keypair(domain_name: String, access_key: String): KeyPair
  keypairs(domain_name: String, email: String, is_active: Boolean): [KeyPair]
  keypair_list(limit: Int!, offset: Int!, filter: String, order: String, domain_name: String, email: String,
    is_active: Boolean): KeyPairList
  keypair_resource_policy(name: String): KeyPairResourcePolicy
  keypair_resource_policies: [KeyPairResourcePolicy]
  user(domain_name: String, email: String): User
  groups(domain_name: String, is_active: Boolean): [UserGroup]
  image(id: String, reference: String, architecture: String, bai_substitute: Boolean, bai_pull: Boolean): Image
  images(is_installed: Boolean, is_operation: Boolean, load_filters: [String]): [Image]
  customized_images: [Image]
  bai_image_aliases: [BaiImageAlias!]!
  agent(agent_id: String!): Agent
  agents(scaling_group: String, status: String): [Agent]
  agent_list(limit: Int!, offset: Int!, filter: String, order: String, scaling_group: String,
    status: String): AgentList
  agent_summary(agent_id: String!): Agent
  agent_summary_list(limit: Int!, offset: Int!, filter: String, order: String, scaling_group: String,
    status: String): AgentList
  scaling_group(name: String): ScalingGroup
  scaling_groups(name: String, is_active: Boolean): [ScalingGroup]
  compute_session(id: UUID!): ComputeSession
  compute_session_list(limit: Int!, offset: Int!, filter: String, order: String, domain_name: String, group_id: UUID,
    access_key: String, status: String): ComputeSessionList
  compute_session_node(id: GlobalIDField!): ComputeSessionNode
  compute_session_nodes(scope_id: String, project_id: UUID, permission: String, filter: String, order: String,
    offset: Int, before: String, after: String, first: Int, last: Int): ComputeSessionConnection
}

type Mutation {
  modify_compute_session(input: ModifyComputeSessionInput!): ModifyComputeSessionPayload
  create_keypair(user_id: String!, props: KeyPairInput!): CreateKeyPair
  modify_keypair(access_key: String!, props: ModifyKeyPairInput!): ModifyKeyPair
  delete_keypair(access_key: String!): DeleteKeyPair
  rescan_images(registry: String, project: String): RescanImages
  preload_image(references: [String]!, target_agents: [String]!, bai_anew: Boolean): PreloadImage
  unload_image(references: [String]!, target_agents: [String]!): UnloadImage
  forget_image(reference: String!, architecture: String): ForgetImage
  forget_image_by_id(image_id: String!): ForgetImageById
  purge_image_by_id(image_id: String!, options: PurgeImageOptions): PurgeImageById
  alias_image(alias: String!, target: String!, architecture: String): AliasImage
  dealias_image(alias: String!): DealiasImage
}

input ModifyComputeSessionInput { id: GlobalIDField! priority: Int name: String clientMutationId: String }
type ModifyComputeSessionPayload { item: ComputeSessionNode clientMutationId: String }

input KeyPairInput {
  is_active: Boolean = true is_admin: Boolean = false resource_policy: String concurrency_limit: Int rate_limit: Int
}
input ModifyKeyPairInput {
  is_active: Boolean is_admin: Boolean resource_policy: String concurrency_limit: Int rate_limit: Int
}
type CreateKeyPair { ok: Boolean msg: String keypair: KeyPair }
type ModifyKeyPair { ok: Boolean msg: String }
type DeleteKeyPair { ok: Boolean msg: String }
type RescanImages { ok: Boolean msg: String task_id: UUID bai_code: String }
type PreloadImage { ok: Boolean msg: String task_id: String bai_code: String }
type UnloadImage { ok: Boolean msg: String task_id: String bai_code: String }
type ForgetImage { ok: Boolean msg: String bai_code: String }
type ForgetImageById { ok: Boolean msg: String bai_code: String }
input PurgeImageOptions { remove_from_registry: Boolean = false }
type PurgeImageById { image: Image }
type AliasImage { ok: Boolean msg: String bai_code: String }
type DealiasImage { ok: Boolean msg: String bai_code: String }

type KVPair { key: String value: String }
type ResourceLimit { key: String min: String max: String }
type UserGroup { id: UUID name: String description: String is_active: Boolean domain_name: String }

type KeyPair {
  id: ID user_id: String full_name: String access_key: String secret_key: String is_active: Boolean is_admin: Boolean
  resource_policy: String created_at: DateTime last_used: DateTime rate_limit: Int num_queries: Int user: UUID
  concurrency_used: Int concurrency_limit: Int projects: [String] ssh_public_key: String
  compute_sessions(status: String): [ComputeSession] user_info: UserInfo
}
type KeyPairList { items: [KeyPair]! total_count: Int! }
type UserInfo { email: String full_name: String }

type KeyPairResourcePolicy {
  name: String created_at: DateTime default_for_unspecified: String total_resource_slots: JSONString
  max_session_lifetime: Int max_concurrent_sessions: Int max_pending_session_count: Int max_containers_per_session: Int
  max_concurrent_sftp_sessions: Int max_vfolder_count: Int max_vfolder_size: BigInt idle_timeout: BigInt
  allowed_vfolder_hosts: JSONString
}

type User {
  id: ID uuid: UUID username: String email: String full_name: String description: String is_active: Boolean
  status: String status_info: String created_at: DateTime modified_at: DateTime domain_name: String role: String
  resource_policy: String main_access_key: String groups: [UserGroup]
}

type Image {
  id: UUID name: String humanized_name: String namespace: String base_image_name: String project: String tag: String
  tags: [KVPair] version: String registry: String architecture: String is_local: Boolean digest: String status: String
  labels: [KVPair] aliases: [String] size_bytes: BigInt resource_limits: [ResourceLimit]
  supported_accelerators: [String] installed: Boolean installed_agents: [String]
  bai_state: String bai_reason: String bai_kind: String bai_language: String bai_runtime_version: String
  bai_packages: [String!] bai_summary: String bai_default_slots: JSONString bai_service_ports: [String!]
  bai_prepare_s: Float bai_progress: BaiProgress bai_notice: String
}
type BaiProgress { current: Float! total: Float! message: String! }
type BaiImageAlias { name: String! targets: [String!]! leads_to: String shipped: Boolean! }

type Agent {
  id: ID status: String status_changed: DateTime region: String architecture: String scaling_group: String
  schedulable: Boolean available_slots: JSONString occupied_slots: JSONString addr: String first_contact: DateTime
  lost_at: DateTime live_stat: JSONString version: String compute_plugins: JSONString hardware_metadata: JSONString
  local_config: JSONString auto_terminate_abusing_kernel: Boolean cpu_cur_pct: Float mem_cur_bytes: Float
  compute_containers(status: String): [ComputeContainer]
}
type AgentList { items: [Agent]! total_count: Int! }

type ScalingGroup {
  name: String description: String is_active: Boolean is_public: Boolean created_at: DateTime driver: String
  scheduler: String
}

type ComputeSession {
  id: ID session_id: UUID main_kernel_id: UUID tag: String name: String type: String main_kernel_role: String
  priority: Int image: String architecture: String registry: String cluster_template: String cluster_mode: String
  cluster_size: Int domain_name: String group_name: String group_id: UUID agent_ids: [String] agents: [String]
  user_email: String full_name: String user_id: UUID access_key: String created_user_email: String
  created_user_id: UUID status: String status_changed: DateTime status_info: String status_data: JSONString
  status_history: JSONString created_at: DateTime terminated_at: DateTime starts_at: DateTime scheduled_at: DateTime
  startup_command: String result: String commit_status: String resource_opts: JSONString scaling_group: String
  service_ports: JSONString mounts: [String] vfolder_mounts: [String] occupying_slots: JSONString
  occupied_slots: JSONString requested_slots: JSONString num_queries: BigInt containers: [ComputeContainer]
  dependencies: [ComputeSession] abusing_reports: [JSONString] idle_checks: JSONString inference_metrics: JSONString
}
type ComputeSessionList { items: [ComputeSession]! total_count: Int! }

type ComputeContainer {
  id: ID kernel_id: UUID idx: Int role: String hostname: String cluster_idx: Int local_rank: Int cluster_role: String
  cluster_hostname: String session_id: UUID image: String architecture: String registry: String status: String
  status_changed: DateTime status_info: String status_data: JSONString created_at: DateTime terminated_at: DateTime
  starts_at: DateTime scheduled_at: DateTime agent: String agent_addr: String container_id: String
  resource_opts: JSONString occupied_slots: JSONString live_stat: JSONString last_stat: JSONString
  preopen_ports: [Int] abusing_report: JSONString
}

type PageInfo { hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String endCursor: String }

type ComputeSessionConnection { pageInfo: PageInfo! edges: [ComputeSessionEdge]! count: Int }
type ComputeSessionEdge { node: ComputeSessionNode cursor: String! }

type ComputeSessionNode {
  id: ID! row_id: UUID tag: String name: String type: String cluster_template: String cluster_mode: String
  cluster_size: Int priority: Int domain_name: String project_id: UUID user_id: UUID access_key: String status: String
  status_changed: DateTime status_info: String status_data: JSONString status_history: JSONString created_at: DateTime
  terminated_at: DateTime starts_at: DateTime scheduled_at: DateTime startup_command: String result: String
  agent_ids: [String] resource_opts: JSONString scaling_group: String service_ports: JSONString
  vfolder_mounts: [String] image_references: [String] occupied_slots: JSONString requested_slots: JSONString
  num_queries: BigInt idle_checks: JSONString kernel_nodes: KernelConnection
}

type KernelConnection { count: Int edges: [KernelEdge]! }
type KernelEdge { node: KernelNode cursor: String! }
type KernelNode {
  id: ID! row_id: UUID cluster_idx: Int local_rank: Int cluster_role: String cluster_hostname: String session_id: UUID
  image: Image image_reference: String architecture: String status: String status_changed: DateTime
  status_info: String status_data: JSONString created_at: DateTime terminated_at: DateTime starts_at: DateTime
  scheduled_at: DateTime agent_id: String container_id: String resource_opts: JSONString occupied_slots: JSONString
  live_stat: JSONString last_stat: JSONString preopen_ports: [Int]
}
"""


def _json_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _time_text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def make_schema() -> GraphQLSchema:
    """Returns the schema with its scalars; resolvers are the attributes of the root value and of rows."""
    schema = build_schema(SDL)
    for name, serialize in (("JSONString", _json_text), ("DateTime", _time_text)):
        scalar = schema.type_map[name]
        assert isinstance(scalar, GraphQLScalarType)
        for attribute in ("serialize", "coerce_output_value"):  # the name until 3.2, and from 3.3 on
            setattr(scalar, attribute, serialize)
    return schema


def global_id(kind: str, row_id: str) -> str:
    return base64.b64encode(f"{kind}:{row_id}".encode()).decode()


def row_id(text: str) -> str:
    """Returns the row id in a global id; a text that is none is taken for the row id itself."""
    try:
        return base64.b64decode(text, validate=True).decode().rpartition(":")[2] or text
    except (ValueError, UnicodeDecodeError):
        return text
