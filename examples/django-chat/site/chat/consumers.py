"""The consumers: that of the tutorial, and that of step 2."""

import json

from channels.generic.websocket import AsyncWebsocketConsumer

from tidegate import frames
from tidegate.channels import AsyncFrames


class ChatConsumer(AsyncWebsocketConsumer):
    """The consumer of the tutorial, as it is there."""

    async def connect(self):
        self.room_name = self.scope["url_route"]["kwargs"]["room_name"]
        self.room_group_name = f"chat_{self.room_name}"
        # Join room group
        await self.channel_layer.group_add(self.room_group_name, self.channel_name)
        await self.accept()

    async def disconnect(self, close_code):
        # Leave room group
        await self.channel_layer.group_discard(self.room_group_name, self.channel_name)

    # Receive message from WebSocket
    async def receive(self, text_data):
        message = json.loads(text_data)["message"]
        # Send message to room group
        await self.channel_layer.group_send(
            self.room_group_name, {"type": "chat.message", "message": message}
        )

    # Receive message from room group
    async def chat_message(self, event):
        await self.send(text_data=json.dumps({"message": event["message"]}))


class SharedChatConsumer(AsyncFrames, ChatConsumer):
    """Step 2: the same, in a room that has sockets of Tidegate, too.

    What it sends to the room is a frame, which Tidegate's sockets get as it is. `AsyncFrames` sends
    frames on to the client, those of Tidegate's consumers among them.
    """

    async def receive(self, text_data):
        message = json.loads(text_data)["message"]
        await self.channel_layer.group_send(self.room_group_name, frames.json({"message": message}))
